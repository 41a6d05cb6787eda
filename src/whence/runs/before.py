"""The run whose labels were corrected, beside the one that is trained with the corrections."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from whence.bounds import BATCH_SIZE
from whence.data.corrections import corrections_to_json, read_corrections, read_origin
from whence.data.fingerprint import content_hashes
from whence.evidence.predict import predict
from whence.metrics.classes import measure_classes
from whence.models.about import DONE
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.models.saved_decision import decision_from_json
from whence.records.class_measures import mean_recall
from whence.records.decision import Decision
from whence.records.images import Dataset, ImageSet
from whence.runs.finished import read_run
from whence.runs.folder import METRICS
from whence.runs.image_record import read_image_record
from whence.runs.settings import Settings
from whence.storage.plain_files import read_json

CORRECTIONS = "corrections"
"""What ``whence.json`` calls, under "run", what was corrected before it."""

BOTH_ACCURACIES = ("accuracy", "balanced_accuracy")
LISTED_IN_RECORD = 1000
"""Corrected images that the record of a run names."""


def name_origin(run: Path, table: Path) -> str:
    """Name a run in a table, by the way from the table's folder."""
    return os.path.relpath(run.resolve(), table.resolve().parent)


def find_before(settings: Settings) -> Path | None:
    """Find the run that a table of corrections was made of, by ``before`` or by the table itself.

    Returns:
        A run folder that is there; None where nothing is corrected, a fold is tested, or the table
        names no such run.

    Raises:
        FileNotFoundError: if ``before`` is no finished run.
        ValueError: if ``before`` is given without corrections, or is damaged.
    """
    if settings.before is not None:
        if settings.corrections is None:
            raise ValueError("before names the run that was corrected; it needs --corrections.")
        read_run(Path(settings.before))
    if settings.corrections is None or settings.fold is not None:
        return None
    if settings.before is not None:
        return Path(settings.before)
    table = Path(settings.corrections).expanduser()
    origin = read_origin(table)
    run = None if origin is None else table.parent / origin
    return run if run is not None and (run / DONE).is_file() else None


def describe_before(settings: Settings, dataset: Dataset) -> list[str]:
    """Say where accuracy before the corrections cannot be shown, and why.

    Args:
        settings: of a training.
        dataset: with its corrected labels.

    Raises:
        ValueError: if ``before`` names a run of other classes or test images.
    """
    if settings.corrections is None or settings.fold is not None:
        return []
    run = find_before(settings)
    if run is None:
        return [
            f"{Path(settings.corrections).name} names no run that is there, so that accuracy "
            "before the corrections is not shown; --before RUN names it."
        ]
    problem = find_difference(run, dataset.test)
    if problem is None:
        return []
    if settings.before is not None:
        raise ValueError(f"before must be a run measured on the same images, {problem}.")
    return [f"Accuracy before the corrections is not shown: {problem}."]


def find_difference(run: Path, test: ImageSet) -> str | None:
    """Say why a run was not measured on some test images; None where it was."""
    about = read_run(run)
    record = read_image_record(run, about)
    if tuple(about["classes"]) != test.class_names:
        return f"{run} has other classes"
    if len(test) == 0:
        return "there are no test images"
    if record is None or not set(content_hashes(test.images)) <= set(record.test.hashes):
        return f"{run} was tested on other images"
    return None


def measure_before(settings: Settings, test: ImageSet, *, device: str) -> dict[str, Any] | None:
    """Measure the run that was corrected on the test images of the one that comes after it.

    Where images and labels are those that it was tested on, its own numbers are taken; where a test
    label was corrected, an image taken out or another threshold kept, it is asked again.

    Args:
        settings: of a training.
        test: its test images, with their corrected labels.
        device: where to compute.

    Returns:
        Accuracy and balanced accuracy, fractions, and the name of the run; None where there is no
        such run, or it was tested on other images.
    """
    run = find_before(settings)
    if run is None or find_difference(run, test) is not None:
        return None
    about = read_run(run)
    record = read_image_record(run, about)
    rule = decision_from_json(about["decision"], about["classes"])
    found = read_json(run / METRICS).get("test", {})
    hashes = content_hashes(test.images)
    tested = None if record is None else record.test
    alike = tested and hashes == tested.hashes and test.labels.equal(tested.labels)
    if alike and is_measured_as_answered(found, rule):
        shares = {name: found.get(name) for name in BOTH_ACCURACIES}
    else:
        shares = measure_shares(load_to_answer(run, device), test, batch_size=BATCH_SIZE)
    return {"run": run.name, **shares}


def measure_shares(
    model: Classifier, test: ImageSet, *, batch_size: int
) -> dict[str, float | None]:
    """Measure accuracy and balanced accuracy, fractions, of a model as it answers."""
    answers = predict(model, test.images, batch_size=batch_size)
    predicted = torch.tensor([one.predicted for one in answers])
    classes = measure_classes(predicted, test.labels, test.class_names)
    accuracy = float((predicted == test.labels).double().mean())
    return {"accuracy": accuracy, "balanced_accuracy": mean_recall(classes)}


def is_measured_as_answered(test: Mapping[str, Any], rule: Decision | None) -> bool:
    """Say whether the numbers in ``metrics.json`` were measured by the rule of a run's answers.

    Args:
        test: the numbers, under "test".
        rule: of the run now, None where it answers by the highest probability.
    """
    measured = test.get("decision")
    if measured is None or rule is None:
        return measured is None and rule is None
    names = ("threshold", "target_recall", "cost")
    same = all(measured.get(name) == getattr(rule, name) for name in names)
    return same and measured.get("class") == rule.validation.name


def describe_corrections(
    settings: Settings, class_names: tuple[str, ...]
) -> dict[str, object] | None:
    """Lay out which labels were corrected before a training; None where none were."""
    if settings.corrections is None:
        return None
    table = Path(settings.corrections).expanduser()
    corrections = read_corrections(table, class_names)
    return corrections_to_json(corrections, str(table), listed=LISTED_IN_RECORD)
