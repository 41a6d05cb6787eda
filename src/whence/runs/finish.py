"""The end of a run: remember, measure, calibrate, save."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whence.evidence.calibrate import calibrate
from whence.evidence.choose_threshold import NoThresholdError, choose_threshold
from whence.evidence.evaluate import evaluate
from whence.evidence.known import count_known, is_known
from whence.evidence.out_of_fold import Encoded, Judged, answer_out_of_fold
from whence.memory.votes import Votes
from whence.models.about import DONE
from whence.models.classifier import Classifier
from whence.models.save import describe, write_model
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.records.measures import Calibration
from whence.runs.before import CORRECTIONS
from whence.runs.beside import Beside, measure_beside
from whence.runs.class_counts import count_images
from whence.runs.folder import METRICS
from whence.runs.image_record import RECORD_HASH, hash_parts, write_image_record
from whence.runs.kept_features import FEATURES, remove_features
from whence.runs.measured import describe_evaluation
from whence.runs.prepare import Parts
from whence.runs.settings import Settings
from whence.runs.target import WantedClass, read_target
from whence.storage.checkpoint import remove_checkpoints
from whence.storage.whole_files import write_json
from whence.training.choose_layers import ChosenLayers
from whence.training.labelled import Labelled

MEASURED_PARTS = ("validation", "test")


def finish(
    parts: Parts,
    folder: Path,
    settings: Settings,
    identity: Mapping[str, Any],
    features: Mapping[str, Tensor],
    beside: Beside | None,
    layers: ChosenLayers | None,
    *,
    device: str,
    seconds: float,
    batch_size: int,
    processes: int,
) -> dict[str, Any]:
    """Remember the training images, evaluate, calibrate, and write what marks the run as done.

    Args:
        parts: with the trained model.
        folder: of the run.
        settings: of the run.
        identity: JSON that says what the training is made of.
        features: `(n, D)` of the images of each part by a frozen encoder; empty for another.
        beside: simple classifiers of the same features; None for an encoder that is trained.
        layers: that were chosen for the features, if any were.
        device: that it was trained on.
        seconds: that it took.
        batch_size: images encoded at once.
        processes: that trained together.

    Returns:
        The content of ``metrics.json``.
    """
    model, train = parts.model, parts.train
    if model.has_memory:
        model.remember(
            train.images,
            train.labels,
            parts.indices,
            train.sources,
            features=features.get("train"),
            batch_size=batch_size,
        )
    images = {"train": train, "validation": parts.validation, "test": parts.test}
    hashes = hash_parts(images)
    measured = measure_parts(
        model,
        {name: images[name] for name in MEASURED_PARTS},
        hashes,
        settings,
        features,
        beside,
        memory_size=parts.plan.memory_size,
        seed=parts.plan.seed,
        batch_size=batch_size,
        ask_more=lambda: answer_training_images(model, parts, settings, features),
    )
    metrics = {**measured, "train_seconds": round(seconds, 3), "device": device}
    if parts.before is not None:
        metrics["before"] = parts.before
    if layers is not None:
        metrics["layers"] = {**asdict(layers), "layers": list(layers.layers)}
    write_json(folder / METRICS, metrics)
    about = {
        **identity,
        "device": device,
        "reliance": take_reliance(measured),
        CORRECTIONS: describe_corrected(parts),
        "class_counts": count_images(train),
        RECORD_HASH: write_image_record(folder, images, hashes, parts.indices),
        **({"processes": processes} if processes > 1 else {}),
    }
    if settings.keep_model:
        write_model(model, folder, pixels=settings.pixels, about=about)
    else:
        write_json(folder / DONE, {**describe(model), "sha256": {}, "run": about})
    remove_checkpoints(folder)
    remove_features(folder / FEATURES)
    return metrics


def take_reliance(measured: Mapping[str, Any]) -> Any:
    """Take how far answers rest on the evidence, of the test images or else the validation's."""
    return measured.get("test", measured.get("validation", {})).get("reliance")


def describe_corrected(parts: Parts) -> dict[str, object] | None:
    """Lay out what was corrected before a training, and how good the run before it was."""
    if parts.corrections is None or parts.before is None:
        return parts.corrections
    return {**parts.corrections, "before": parts.before}


def measure_parts(
    model: Classifier,
    images: Mapping[str, ImageSet],
    hashes: Mapping[str, tuple[str, ...]],
    settings: Settings,
    known_features: Mapping[str, Tensor],
    beside: Beside | None,
    *,
    memory_size: int,
    seed: int,
    batch_size: int,
    ask_more: Callable[[], Judged | None] = lambda: None,
    encoded: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Measure the validation images, calibrate on them, and then measure the test images.

    Args:
        model: with its memory; it is calibrated.
        images: validation and test.
        hashes: of the images of each part, and of "train".
        settings: of the run.
        known_features: `(n, D)` of the images of each part; what is not there is encoded.
        beside: simple classifiers of the same features, or None.
        memory_size: of the drawn memories.
        seed: of the draws.
        batch_size: images encoded at once.
        ask_more: answers for images besides those for the validation to calibrate on, or None.
        encoded: `(n, E)` of the images of each part as the head compares them, where known.

    Returns:
        JSON on each part that has images; "no_threshold" says why the threshold that was asked for
        could not be chosen.
    """
    measured = dict[str, Any]()
    target = read_target(settings.target_recall, settings.cost)
    seen = {"memory": frozenset(model.fitting_bank().hashes)} if model.has_memory else {}
    seen = {**seen, "train": frozenset(hashes["train"])}
    for name in MEASURED_PARTS:
        part = images[name]
        if len(part) == 0:
            continue
        if encoded is not None and name in encoded:
            features = encoded[name]
        else:
            features = embed_part(
                model, part.images, known_features.get(name), batch_size=batch_size
            )
        fresh = [place for place, one in enumerate(is_known(hashes[name], seen)) if not one]
        if name == "validation" and target is not None:
            problem = set_threshold(model, target, part, features, fresh, batch_size=batch_size)
            measured |= {} if problem is None else {"no_threshold": problem}
        found = evaluate(
            model,
            part,
            memory_size=memory_size,
            seed=seed,
            draw_batch=settings.draw_batch,
            batch_size=batch_size,
            features=features,
        )
        known = count_known(hashes[name], found.predicted, part.labels, seen)
        measured[name] = describe_evaluation(replace(found, known=known))
        if beside is not None and name in known_features:
            asked = Labelled(known_features[name], part.labels.to(features.device))
            measured[name]["beside"] = measure_beside(beside, asked, part.class_names)
        if name == "validation":  # not before: its own flag would be measured where it was fitted
            more = ask_more()
            model.calibration = calibrate_on(
                model, part, features, fresh, more, batch_size=batch_size
            )
            seen = {**seen, "validation": frozenset(hashes[name])}
    return measured


@torch.no_grad()
def embed_part(
    model: Classifier, images: Tensor, known: Tensor | None, *, batch_size: int
) -> Tensor:
    """Return what the head compares `(n, E)` of images, from features `(n, D)` where known."""
    if known is not None:
        return model.head.embed(known)
    return encode_all(model, images, batch_size=batch_size)


def set_threshold(
    model: Classifier,
    target: WantedClass,
    images: ImageSet,
    features: Tensor,
    fresh: list[int],
    *,
    batch_size: int,
) -> str | None:
    """Answer a class from a threshold on that the new ones among some images choose.

    A training is not lost because its threshold cannot be chosen.

    Args:
        model: with its memory; its decision is set.
        target: that was asked for.
        images: for the validation.
        features: `(N, D)` of them.
        fresh: places of those that are new to the model.
        batch_size: answers computed at once.

    Returns:
        Why there is no threshold, in a sentence; None where there is one.
    """
    try:
        model.decision = choose_threshold(
            model,
            images.take(fresh),
            target.class_name,
            recall=target.recall,
            cost=target.cost,
            batch_size=batch_size,
            features=features[fresh],
        )
    except NoThresholdError as error:
        return str(error)
    return None


def answer_training_images(
    model: Classifier, parts: Parts, settings: Settings, features: Mapping[str, Tensor]
) -> Judged | None:
    """Answer for training images out of fold; None where that takes more than seconds.

    That is where the encoder learns, for a head that is trained step by step, and with a budget of
    time. The signals are those that the model has.

    Args:
        model: with its memory and threshold.
        parts: with what it was trained on, and how.
        settings: of the run.
        features: `(n, D)` of the images of each part by a frozen encoder.
    """
    if not isinstance(model.head, Votes) or "train" not in features or settings.budget is not None:
        return None
    return answer_out_of_fold(
        model,
        Encoded(parts.train, features["train"]),
        Encoded(parts.validation, features["validation"]),
        recipe=parts.recipe,
        plan=parts.plan,
        groups=parts.groups,
        counts=parts.counts,
    )


def calibrate_on(
    model: Classifier,
    images: ImageSet,
    features: Tensor,
    fresh: list[int],
    more: Judged | None,
    *,
    batch_size: int,
) -> Calibration | None:
    """Calibrate on the images that were not trained on; None where none is left.

    Args:
        model: with its memory.
        images: for the validation.
        features: `(N, D)` of them.
        fresh: places of those that are new to the model.
        more: answers for training images out of fold, or None.
        batch_size: answers computed at once.
    """
    if not fresh:
        return None
    new = images.take(fresh)
    return calibrate(model, new, batch_size=batch_size, features=features[fresh], more=more)
