"""How good a run is for each class, in sentences; of many classes the worst ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from whence.messages import count
from whence.records.class_measures import ClassMeasures
from whence.report.numbers import percent

ALL_LISTED = 20
"""Classes up to which all are listed, in their order."""


def describe_balance(balanced: float, worst: ClassMeasures | None) -> str | None:
    """Say the balanced accuracy and the worst class; None where only one class has images.

    >>> describe_balance(0.535, ClassMeasures("defective", images=14, right=1, answers=3))
    'Balanced accuracy (mean recall of the classes) 53.5%; worst class defective: 1 of 14 found \
(recall 7.1%), 1 of 3 answers right (precision 33.3%).'
    """
    if worst is None:
        return None
    return (
        f"Balanced accuracy (mean recall of the classes) {percent(balanced)}; worst class "
        f"{worst.name}: {describe_recall(worst)}, {describe_precision(worst)}."
    )


def describe_recall(found: ClassMeasures) -> str:
    """Say which share of the images of a class was found."""
    if found.recall is None:
        return "no image"
    return f"{found.right:,} of {found.images:,} found (recall {percent(found.recall)})"


def describe_precision(found: ClassMeasures) -> str:
    """Say which share of the answers with a class is right."""
    if found.precision is None:
        return "no answer"
    answers = count(found.answers, "answer")
    return f"{found.right:,} of {answers} right (precision {percent(found.precision)})"


def list_classes(classes: Sequence[ClassMeasures]) -> list[ClassMeasures]:
    """Take all classes in their order; of many only those of lowest recall that have images."""
    if len(classes) <= ALL_LISTED:
        return list(classes)
    return sorted(
        (one for one in classes if one.recall is not None), key=lambda one: one.recall or 0.0
    )[:ALL_LISTED]


def describe_choice(classes: Sequence[ClassMeasures]) -> str | None:
    """Say which classes are shown where not all are."""
    if len(classes) <= ALL_LISTED:
        return None
    return f"The {len(list_classes(classes))} of {len(classes):,} classes with the lowest recall."


def compare_accuracies(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say accuracy and balanced accuracy before and after corrections, where both are known."""
    lines = []
    for name in ("accuracy", "balanced_accuracy"):
        first, now = before[name], after.get(name)
        if first is not None and now is not None:
            words = name.replace("_", " ")
            lines.append(f"  {words}: {first:.2%} before, {now:.2%} after, on the test images")
    return lines
