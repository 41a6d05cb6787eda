"""Every class has images to learn from; where none are left to measure it, that is said."""

from torch import Tensor

from whence.messages import quote
from whence.records.images import Dataset, ImageSet
from whence.records.labels import NAMED
from whence.runs.divide import divide
from whence.runs.settings import Settings


def check_every_class(train: ImageSet) -> None:
    """Refuse training images among which a class has none: it could never be answered.

    Raises:
        ValueError: naming the classes, or if there are fewer than two images.
    """
    if len(train) < 2:
        raise ValueError(f"train_examples must be at least 2, got {len(train)}.")
    missing = list_missing(train.labels, train.class_names)
    if missing:
        raise ValueError(
            f"train_examples must leave an image of every class to learn from, {len(train)} leave "
            f"none of {shorten_names(missing)}; use more training images (--train-examples), or "
            "remove the class."
        )


def describe_missing(settings: Settings, dataset: Dataset) -> list[str]:
    """Say which classes have no image to be measured on, in the validation or the test set.

    Returns:
        A sentence for each of the two sets that has images, but not of every class.
    """
    parts = divide(dataset, settings)
    check_every_class(dataset.train.take(parts.train))
    labels = {
        "validation": dataset.train.labels[parts.validation],
        "test": dataset.test.labels,
    }
    notes = []
    for name, found in labels.items():
        missing = list_missing(found, dataset.train.class_names)
        if missing and len(found):
            notes.append(
                f"No {name} image is of {shorten_names(missing)}: the accuracy there says nothing "
                "of that."
            )
    return notes


def list_missing(labels: Tensor, class_names: tuple[str, ...]) -> list[str]:
    """List the classes that none of the labels `(N,)` names."""
    counts = labels.bincount(minlength=len(class_names)).tolist()
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def shorten_names(names: list[str]) -> str:
    """Name the first classes and count the others."""
    rest = f" and {len(names) - NAMED} more classes" if len(names) > NAMED else ""
    return ", ".join(quote(name) for name in names[:NAMED]) + rest
