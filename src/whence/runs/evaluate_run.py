"""A finished run measured again, on its test images or on others."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from whence.bounds import check_numbers
from whence.data.label_table import NO_COLUMNS
from whence.data.sample import SAME_NAMES
from whence.evidence.evaluate import evaluate
from whence.evidence.known import count_known
from whence.evidence.predict import predict
from whence.models.about import MODEL
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.records.measures import Evaluation
from whence.runs.finished import read_run, read_settings
from whence.runs.image_record import find_seen, note_record, read_image_record
from whence.runs.measured import describe_evaluation
from whence.runs.rows_of_answers import lay_out_rows
from whence.runs.sample_of_run import Cache, choose_sample
from whence.runs.settings import Settings
from whence.runs.target import ThresholdChange
from whence.runs.threshold_of_run import change_threshold, keep_threshold
from whence.runs.untrained import evaluate_untrained, find_memory
from whence.runs.where import AS_SETTINGS_SAY, Where


def evaluate_run(
    folder: Path,
    *,
    data: str | None,
    device: str,
    seed: int | None,
    batch_size: int,
    controls: bool = True,
    renamed: Mapping[str, str] = SAME_NAMES,
    columns: Mapping[str, str] = NO_COLUMNS,
    change: ThresholdChange | None = None,
    where: Where = AS_SETTINGS_SAY,
    cache: Cache | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Measure a finished run on its test images, or on others.

    Args:
        folder: of the run.
        data: other images, all that a folder or table holds or the test images of a dataset's
            name; None takes the run's test images.
        device: where to compute.
        seed: of the drawn memories; None takes the run's.
        batch_size: images encoded at once.
        controls: measure the network before training as well, which encodes everything again.
        renamed: classes of these other images that are called otherwise than the run's: their name
            to the run's.
        columns: of a table of other images, its columns by what they say.
        change: of the run's threshold; None measures it as it is.
        where: the images are, and may be downloaded to.
        cache: of images that other runs loaded; these are added.
        rows: a list that a row for each answer is added to; None makes none.

    Returns:
        One JSON object, accuracies as fractions, with what identifies the run.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the run is damaged, or its images or pretrained weights changed.
    """
    check_numbers([("seed", seed)])
    about = read_run(folder)
    model: Classifier = load_to_answer(folder, device)
    if change is not None:
        change_threshold(model, folder, about, change.target, where=where, batch_size=batch_size)
    loaded = choose_sample(
        folder, about, data, renamed=renamed, columns=columns, where=where, cache=cache
    )
    sample, settings = loaded.sample, read_settings(folder)
    features = encode_all(model, sample.images.images, batch_size=batch_size)
    found = measure_as_run(
        model, sample.images, features, about, settings, seed=seed, batch_size=batch_size
    )
    if rows is not None:
        rows += lay_out_answers(model, sample.images, features, batch_size=batch_size)
    untrained = None
    if controls and model.has_memory:
        untrained = evaluate_untrained(
            model,
            sample.images,
            find_memory(model, folder, about, where=where),
            settings,
            about["run"],
            batch_size=batch_size,
            download=where.may_download,
        )
    if change is not None and change.keep:
        keep_threshold(folder, model)
    record = read_image_record(folder, about)
    known = count_known(
        loaded.hashes, found.predicted, sample.images.labels, find_seen(model, record)
    )
    return {
        "run": str(folder),
        "data": sample.name,
        "notes": [*sample.notes, *note_record(record)],
        **describe_evaluation(replace(found, known=known), untrained),
        "variant": about["variant"],
        "encoder": about["encoder"]["name"],
        "train_images": about["run"]["train_images"],
        "seed": about["run"]["seed"],
        "test_fingerprint": loaded.fingerprint,
        "model_sha256": about["sha256"][MODEL],
        "versions": about["versions"],
    }


def measure_as_run(
    model: Classifier,
    images: ImageSet,
    features: Tensor,
    about: Mapping[str, Any],
    settings: Settings,
    *,
    seed: int | None,
    batch_size: int,
) -> Evaluation:
    """Measure a model on images, with drawn memories as its run had them.

    Args:
        model: of the run.
        images: N of them.
        features: `(N, E)` of them, as the head compares them.
        about: the content of the run's ``whence.json``.
        settings: of the run.
        seed: of the drawn memories; None takes the run's.
        batch_size: answers computed at once.
    """
    plan = about["run"]["plan"]
    memory_size = plan["memory_size"]
    if model.bank is not None:
        memory_size = min(memory_size, len(model.bank))
    return evaluate(
        model,
        images,
        features=features,
        memory_size=memory_size,
        seed=plan["seed"] if seed is None else seed,
        draw_batch=settings.draw_batch,
        batch_size=batch_size,
    )


def lay_out_answers(
    model: Classifier, images: ImageSet, features: Tensor, *, batch_size: int
) -> list[dict[str, Any]]:
    """List a model's answers to labelled images of these features, a row an image."""
    answers = predict(model, images.images, batch_size=batch_size, features=features)
    sources = images.sources or [f"image {place}" for place in range(len(images))]
    return lay_out_rows(answers, sources, model.class_names, labels=images.labels.tolist())
