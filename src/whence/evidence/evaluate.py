"""Accuracy, measures of the evidence and of the signs of doubt, from features encoded once."""

from dataclasses import replace

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.data.fingerprint import content_hashes
from whence.evidence.answers import Answers, Memory, answer, draw_passes, signals_of
from whence.evidence.controls import has_labels, measure_nearest, measure_random
from whence.evidence.dependence import measure_dependence
from whence.evidence.known import count_known
from whence.evidence.predict import predict
from whence.kinds import check_arguments
from whence.metrics import PROBABILITIES
from whence.metrics.class_curves import choose_tabulated, tabulate_thresholds, trace_classes
from whence.metrics.classes import measure_classes
from whence.metrics.evidence import measure_evidence
from whence.metrics.flag import measure_flag
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.calibration import error_probability
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.using import encode_unless_known
from whence.records.class_curves import Answered, ThresholdTable
from whence.records.decision import Decision
from whence.records.images import ImageSet
from whence.records.measures import Calibration, Evaluation, EvidenceMeasures, FlagQuality, Mistake

DRAWS = 5
PAPER_BATCH = 500

MISTAKES = 6
"""Wrong answers that are kept with their evidence."""


@check_arguments
def evaluate(
    model: Classifier,
    images: LabelledImages,
    *,
    memory_size: int = 100,
    draws: int = DRAWS,
    seed: int = 0,
    draw_batch: int = PAPER_BATCH,
    batch_size: int = BATCH_SIZE,
    features: Tensor | None = None,
) -> Evaluation:
    """Measure accuracy, evidence and signs of doubt, encoding every image once.

    The features of a test image do not depend on the memory, so the five passes of the paper's
    protocol (batches of 500, each with a fresh memory of 100; La Rosa et al. 2021, A.1.2) cost
    five passes of the head; the memories are drawn from the bank's features.

    Args:
        model: with a bank, unless it is a standard model.
        images: test or validation images, labelled: an ``ImageSet``, (X, y), or a data set of
            (image, label) such as torchvision's ``ImageFolder``.
        memory_size: images per drawn memory; at most what the bank holds.
        draws: passes of the paper's protocol, at least 1.
        seed: of the draws.
        draw_batch: images that share one drawn memory.
        batch_size: images encoded at once; changes memory use, not the result.
        features: `(N, D)` the images encoded by this model, if that was done already.

    Raises:
        ValueError: if there are no images, or fewer in the bank than ``memory_size``.
        RuntimeError: if the model has no bank that fits it.
    """
    measured = as_image_set(images, model)
    if len(measured) == 0:
        raise ValueError("images must hold at least one image to evaluate, got none.")
    check_number("draws", draws, least=1)
    check_number("draw_batch", draw_batch)
    check_number("seed", seed)
    with evaluating(model):
        memory = Memory.of(model) if model.has_memory else None
        features = encode_unless_known(model, measured.images, features, batch_size=batch_size)
        labels, names = measured.labels.to(features.device), signals_of(model)
        whole = answer(
            model,
            features,
            labels,
            memory,
            signals=names,
            with_reliance=True,
            batch_size=batch_size,
        )
        found = measure_doubt(model, measured, features, whole, names, batch_size=batch_size)
        if memory is None:
            return found
        passes = draw_passes(
            model,
            features,
            labels,
            memory,
            memory_size=memory_size,
            draws=draws,
            seed=seed,
            draw_batch=draw_batch,
        )
        nearest = measure_nearest(features, whole.predicted, labels, memory, batch_size=batch_size)
        random = measure_random(whole.predicted, labels, memory, classes=len(model.class_names))
        reliance = measure_dependence(
            model.memory_head, features, labels, memory, whole, batch_size=batch_size
        )
    seen = {"memory": frozenset(model.fitting_bank().hashes)}
    return replace(
        found,
        known=count_known(content_hashes(measured.images), found.predicted, measured.labels, seen),
        draws=tuple(mean(find_hits(one, labels)) for one in passes),
        evidence=describe_evidence(whole, labels, memory),
        draws_evidence=tuple(describe_evidence(one, labels, memory) for one in passes),
        controls={"random": random, "nearest": nearest},
        reliance=reliance,
    )


def measure_doubt(
    model: Classifier,
    images: ImageSet,
    features: Tensor,
    whole: Answers,
    names: tuple[str, ...],
    *,
    batch_size: int,
) -> Evaluation:
    """Measure answers and their signs of doubt: all that needs no look at the evidence.

    Args:
        model: that answered.
        images: N of them that were asked about.
        features: `(N, D)` of them.
        whole: the answers, with a doubt for each name.
        names: of the signals of doubt.
        batch_size: answers computed at once.
    """
    labels = images.labels.to(features.device)
    hits = find_hits(whole, labels)
    answered = keep_answers(model, whole, images, names)
    return Evaluation(
        len(images),
        mean(hits),
        measure_classes(whole.predicted, labels, model.class_names),
        signals=measure_signals(whole.doubts, ~hits, names, model.calibration),
        calibration=model.calibration,
        predicted=tuple(whole.predicted.tolist()),
        decision=model.decision,
        curves=trace_classes(answered.probabilities, images.labels.cpu(), model.class_names),
        thresholds=tabulate(answered, model.decision),
        answered=answered,
        mistakes=take_mistakes(model, images, features, answered, batch_size=batch_size),
    )


def keep_answers(
    model: Classifier, found: Answers, images: ImageSet, names: tuple[str, ...]
) -> Answered:
    """Keep every answer, on the CPU.

    Args:
        model: that answered.
        found: its answers, with a doubt for each name.
        images: that were asked about.
        names: of the signals of doubt.
    """
    errors = None
    if model.calibration is not None:
        places = [names.index(name) for name in model.calibration.names]
        errors = error_probability(model.calibration, found.doubts[:, places]).cpu()
    return Answered(
        labels=images.labels.cpu(),
        predicted=found.predicted.cpu(),
        probabilities=model.head.probabilities(found.logits).float().cpu(),
        error_probabilities=errors,
        class_names=model.class_names,
        sources=images.sources,
        reliance=None if found.traces is None else found.traces.reliance.cpu(),
    )


def take_mistakes(
    model: Classifier, images: ImageSet, features: Tensor, found: Answered, *, batch_size: int
) -> tuple[Mistake, ...]:
    """Take the wrong answers of highest probability, with their evidence.

    An image that is stored itself is answered without it here, and left out where it is right then.

    Args:
        model: that answered.
        images: that were asked about.
        features: `(N, D)` of them.
        found: all answers.
        batch_size: answers computed at once.
    """
    labels = images.labels.cpu()
    wrong = (found.predicted != labels).nonzero()[:, 0]
    shares = found.probabilities[wrong].amax(1)
    chosen = wrong[shares.argsort(descending=True, stable=True)[:MISTAKES]]
    answers = predict(
        model,
        images.images[chosen.to(images.images.device)],
        batch_size=batch_size,
        features=features[chosen.to(features.device)],
    )
    return tuple(
        Mistake(place, int(labels[place]), answer)
        for place, answer in zip(chosen.tolist(), answers, strict=True)
        if answer.predicted != int(labels[place])
    )


def tabulate(answered: Answered, decision: Decision | None) -> ThresholdTable | None:
    """Count what thresholds of one class give; None where none is asked for among several."""
    labels, names = answered.labels, answered.class_names
    if labels is None:
        return None
    place = choose_tabulated(labels, len(names), None if decision is None else decision.place)
    if place is None or not bool((labels == place).any()):
        return None
    cost = 1.0 if decision is None or decision.cost is None else decision.cost
    return tabulate_thresholds(
        answered.probabilities[:, place],
        labels == place,
        name=names[place],
        cost=cost,
        chosen=None if decision is None else decision.threshold,
    )


def measure_signals(
    doubts: Tensor, errors: Tensor, names: tuple[str, ...], calibration: Calibration | None
) -> dict[str, FlagQuality]:
    """Measure every signal, and the calibrated probability of error before them if there is one.

    Args:
        doubts: `(N, S)`, a column per name.
        errors: `(N,)` bool, the answer is wrong.
        names: of the signals.
        calibration: of the model.
    """
    columns = dict(zip(names, doubts.unbind(1), strict=True))
    if calibration is not None:
        chosen = torch.stack([columns[name] for name in calibration.names], 1)
        columns = {"error_probability": error_probability(calibration, chosen), **columns}
    return {
        name: measure_flag(column, errors, probability=name in PROBABILITIES)
        for name, column in columns.items()
    }


def describe_evidence(answers: Answers, labels: Tensor, memory: Memory) -> EvidenceMeasures:
    """Measure the evidence of the answers to images with true classes `(N,)`.

    Raises:
        ValueError: if the answers were computed without a memory.
    """
    traces = answers.traces
    if traces is None:
        raise ValueError("answers must be computed from a memory to have evidence.")
    purity = traces.purity if has_labels(memory) else None
    return measure_evidence(find_hits(answers, labels), traces.agrees, purity, traces.support)


def find_hits(answers: Answers, labels: Tensor) -> Tensor:
    """Say which answers are right, `(N,)` bool."""
    return answers.predicted == labels


def mean(hits: Tensor) -> float:
    """Average truth values, in float64."""
    return float(hits.double().mean())
