"""A whole run in numbers: gathered from features that are encoded once."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.evidence.answers import signals_of
from whence.evidence.evaluate import evaluate
from whence.evidence.nearest_stored import find_nearest_stored
from whence.evidence.suspicious import find_plain_features, find_suspicious
from whence.gather.by_group import measure_groups
from whence.gather.explained import find_places, take_stored
from whence.gather.near_pairs import find_pairs_of_run
from whence.gather.use_of_memory import Use, describe_use, read_all
from whence.memory.bank import Bank
from whence.metrics.flag import risk_at, risk_curve
from whence.models.calibration import error_probability
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.using import encode_all
from whence.records.by_group import Groups
from whence.records.images import ImageSet
from whence.records.measures import Suspicion
from whence.records.overview import LISTED, Curve, Hard, Made, Overview
from whence.runs.settings import Settings
from whence.shapes import check_shape

DRAWN = ("error_probability", "softmax", "entropy", "nearest")
"""Signals of doubt that have a curve, where the model has them."""

FIRST = 0.05
"""Curves begin at this share of the images; before it a single image would move them."""

MOST_AUDITED = 5000
"""Suspicious labels whose most similar stored images are looked up."""

POINTS = 96
"""Points of a curve, one per percent."""


def describe_run(about: dict[str, Any], settings: Settings, data: str, model: Classifier) -> Made:
    """Collect how a finished run was made.

    Args:
        about: the content of its ``whence.json``.
        settings: of the run.
        data: name of the data that it is measured on.
        model: that was loaded from it.
    """
    run = about["run"]
    drawn = run["plan"]["memory_size"]
    return Made(
        trained_on=str(run.get("dataset", settings.data)),
        measured_on=data,
        variant=model.variant,
        encoder=model.kind.title,
        train_images=run["train_images"],
        seed=run["seed"],
        drawn=drawn if model.bank is None else min(drawn, len(model.bank)),
        draw_batch=settings.draw_batch,
        class_counts=find_class_counts(run, model),
    )


def find_class_counts(run: dict[str, Any], model: Classifier) -> tuple[int, ...]:
    """Find how many training images a run had of each class; empty where that is not known.

    Runs of before do not say it themselves; the labels of their stored images do.

    Args:
        run: what ``whence.json`` says of it.
        model: that was loaded from it.
    """
    counts = run.get("class_counts")
    if counts is None and model.bank is not None and bool((model.bank.labels >= 0).all()):
        counts = model.bank.labels.bincount(minlength=len(model.class_names)).tolist()
    return () if counts is None else tuple(counts)


def gather_overview(
    model: Classifier,
    images: ImageSet,
    made: Made,
    *,
    hard: int = 8,
    seed: int = 0,
    groups: Groups | None = None,
    batch_size: int = BATCH_SIZE,
) -> Overview:
    """Measure a model on labelled images, and find what is worth a look.

    Args:
        model: with a bank, unless it is a standard model.
        images: test images; every one of them is encoded once.
        made: how the model was made, with the sizes of the paper's protocol.
        hard: images to look at, half of them wrong answers of high probability.
        seed: of the paper's random memories.
        groups: of the images, by which the answers are measured as well; None for none.
        batch_size: images computed at once; changes memory use, not the result.

    Raises:
        ValueError: if there are no images, or a number does not fit.
        RuntimeError: if the model has no bank that fits it.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image to report on, got none.")
    with evaluating(model):
        features = encode_all(model, images.images, batch_size=batch_size)
        labels = images.labels.to(features.device)
        evaluation = evaluate(
            model,
            images,
            memory_size=made.drawn,
            seed=seed,
            draw_batch=made.draw_batch,
            batch_size=batch_size,
            features=features,
        )
        readings = read_all(model, features, labels, batch_size=batch_size)
        by_group = None
        if groups is not None and evaluation.answered is not None:
            by_group = measure_groups(
                model, features, evaluation.answered, groups, batch_size=batch_size
            )
    labels, predicted, bank = images.labels.cpu(), readings.predicted, model.bank
    columns = name_doubts(model, readings.doubts)
    drawn = [name for name in DRAWN if name in columns]
    errors = columns.get("error_probability")
    found = Overview(
        made=made,
        class_names=model.class_names,
        evaluation=evaluation,
        confusion=confuse(labels, predicted, len(model.class_names)),
        curves=tuple(trace_curve(name, columns[name], predicted != labels) for name in drawn),
        hard=choose_hard(
            predicted, labels, readings.probabilities, columns["softmax"], errors, hard=hard
        ),
        near_pairs=find_pairs_of_run(bank, images, predicted),
        groups=by_group,
    )
    if bank is None or readings.use is None:
        return found
    return add_memory(found, model, bank, readings.use, batch_size=batch_size)


def add_memory(
    found: Overview, model: Classifier, bank: Bank, use: Use, *, batch_size: int
) -> Overview:
    """Add the stored images that were used most, those with suspicious labels, and their pictures.

    Args:
        found: what is known of the answers.
        model: that gave them.
        bank: its memory.
        use: how much the answers read each of its images.
        batch_size: images computed at once.
    """
    compared = encode_for_labels(model, batch_size=batch_size)
    suspicious = list_suspicious(model, compared, batch_size=batch_size)
    memory, places = describe_use(use, bank.indices.tolist()), find_places(bank)
    grouped = () if found.groups is None else found.groups.misleading
    listed, asked = (suspicious or ())[:LISTED], (suspicious or ())[:MOST_AUDITED]
    shown = [one.index for one in (*memory.most, *memory.misleading, *grouped)]
    shown += [one.index for one in listed]
    indices = [one.index for one in asked]
    return replace(
        found,
        memory=memory,
        suspicious=suspicious,
        stored={index: take_stored(bank, places[index]) for index in shown},
        nearest=find_nearest_stored(model, indices, features=compared) if indices else {},
    )


def confuse(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Count images by true class and answer.

    Args:
        labels: `(N,)` true classes.
        predicted: `(N,)` answers.
        classes: K.

    Returns:
        `(K, K)` int64, rows are true classes.

    >>> confuse(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2)
    tensor([[1, 1],
            [0, 1]])
    """
    sizes = check_shape("labels", labels, "N")
    check_shape("predicted", predicted, "N", **sizes)
    return (labels * classes + predicted).bincount(minlength=classes**2).view(classes, classes)


def name_doubts(model: Classifier, doubts: Tensor) -> dict[str, Tensor]:
    """Name the columns `(N, S)` of doubt, the calibrated probability first if there is one."""
    columns = dict(zip(signals_of(model), doubts.unbind(1), strict=True))
    calibration = model.calibration
    if calibration is None:
        return columns
    chosen = torch.stack([columns[name] for name in calibration.names], 1)
    return {"error_probability": error_probability(calibration, chosen), **columns}


def trace_curve(signal: str, doubts: Tensor, errors: Tensor) -> Curve:
    """Follow the share of wrong answers among the least doubtful 5 % to 100 % of the images.

    Args:
        signal: its name.
        doubts: `(N,)`, larger = more doubtful.
        errors: `(N,)` bool, the answer is wrong.
    """
    risks = risk_curve(doubts, errors)
    shares = [FIRST + (1 - FIRST) * step / (POINTS - 1) for step in range(POINTS)]
    shares = [round(share, 6) for share in shares]
    return Curve(signal, tuple(shares), tuple(risk_at(risks, share) for share in shares))


def choose_hard(
    predicted: Tensor,
    labels: Tensor,
    probabilities: Tensor,
    unsure: Tensor,
    errors: Tensor | None,
    *,
    hard: int,
) -> tuple[Hard, ...]:
    """Choose wrong answers of high probability, and then the most doubtful of the other answers.

    Where there are fewer wrong answers than half of ``hard``, more doubtful ones take their place.

    Args:
        predicted: `(N,)` answers.
        labels: `(N,)` true classes.
        probabilities: `(N,)` of each answer, as people see them.
        unsure: `(N,)` the softmax's sign of doubt, which also tells very sure answers apart.
        errors: `(N,)` calibrated probability of error, which then tells what is doubtful; None
            without, then ``unsure`` does.
        hard: how many to choose; all images if there are fewer.

    Raises:
        ValueError: if ``hard`` is negative, or the shapes differ.
    """
    check_number("hard", hard)
    sizes = check_shape("labels", labels, "N")
    check_shape("predicted", predicted, "N", **sizes)
    check_shape("probabilities", probabilities, "N", **sizes)
    check_shape("unsure", unsure, "N", **sizes)
    doubts = unsure if errors is None else errors
    check_shape("errors", doubts, "N", **sizes)
    wrong = (predicted != labels).nonzero()[:, 0]
    sure = wrong[unsure[wrong].argsort(stable=True)][: (hard + 1) // 2].tolist()
    rest = [row for row in doubts.argsort(descending=True, stable=True).tolist() if row not in sure]
    chosen = [*sure, *rest[: hard - len(sure)]]
    return tuple(
        Hard(
            place=row,
            kind="sure" if number < len(sure) else "doubtful",
            truth=int(labels[row]),
            predicted=int(predicted[row]),
            probability=float(probabilities[row]),
            error_probability=None if errors is None else float(errors[row]),
        )
        for number, row in enumerate(chosen)
    )


def encode_for_labels(model: Classifier, *, batch_size: int) -> Tensor | None:
    """Find features of the stored images that know as little of their labels as can be had, once.

    Returns:
        `(M, D)`; None without a memory.
    """
    if not model.has_memory:
        return None
    return find_plain_features(model, model.fitting_bank(), batch_size=batch_size)


def list_suspicious(
    model: Classifier, features: Tensor | None, *, batch_size: int
) -> tuple[Suspicion, ...] | None:
    """List suspicious labels, None where there are no labels at all."""
    if model.bank is None or not bool((model.bank.labels >= 0).any()):
        return None
    return find_suspicious(model, batch_size=batch_size, features=features)
