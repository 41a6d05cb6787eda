"""Every class has images to learn from; unequal numbers, and none to measure it, are said."""

from torch import Tensor

from whence.messages import quote
from whence.records.images import Dataset, ImageSet
from whence.records.labels import NAMED, list_names
from whence.report.imbalance import say_imbalance
from whence.runs.divide import divide
from whence.runs.settings import Settings
from whence.runs.target import WantedClass, read_target


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


def describe_class_counts(settings: Settings, dataset: Dataset) -> list[str]:
    """Say if classes have unequal numbers of images, and which have none to be measured on.

    Returns:
        A sentence on the training images where they are clearly unequal, and one for each of
        validation and test set that has images, but not of every class.
    """
    parts = divide(dataset, settings)
    train = dataset.train.take(parts.train)
    check_every_class(train)
    unequal = say_imbalance(count_images(train), train.class_names)
    notes = [] if unequal is None else [unequal]
    check_validated(settings, dataset.train.take(parts.validation))
    labels = {
        "validation": dataset.train.labels[parts.validation],
        "test": dataset.test.labels,
    }
    for name, found in labels.items():
        missing = list_missing(found, dataset.train.class_names)
        if missing and len(found):
            notes.append(
                f"No {name} image is of {shorten_names(missing)}: the accuracy there says nothing "
                "of that."
            )
    return notes


def check_validated(settings: Settings, validation: ImageSet) -> None:
    """Refuse a class with a threshold that is none, or that no validation image is of.

    Raises:
        ValueError: naming the way out.
    """
    target = read_target(settings.target_recall, settings.cost)
    if target is not None:
        check_target(target, validation)


def check_target(target: WantedClass, validation: ImageSet) -> None:
    """Refuse a class that there is not, or that no validation image is of.

    Args:
        target: that was asked for.
        validation: images that the threshold is chosen on.

    Raises:
        ValueError: naming the way out.
    """
    name, class_names = target.class_name, validation.class_names
    counts = count_images(validation)
    if name not in class_names:
        raise ValueError(
            f"{target.option} must name a class of the images, got {quote(name)}; there are "
            f"{list_names(class_names)}."
        )
    if counts[class_names.index(name)] == 0:
        total = sum(counts)
        there = f"none of {total:,} is" if total else "there are none at all"
        raise ValueError(
            f"{target.option} needs validation images of {quote(name)}, {there}; use more "
            "(--validation-examples), or add some to those that the data name (a folder val, a "
            "column split)."
        )


def count_images(images: ImageSet) -> list[int]:
    """Count the images of each class."""
    counts: list[int] = images.labels.bincount(minlength=len(images.class_names)).tolist()
    return counts


def list_missing(labels: Tensor, class_names: tuple[str, ...]) -> list[str]:
    """List the classes that none of the labels `(N,)` names."""
    counts = labels.bincount(minlength=len(class_names)).tolist()
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def shorten_names(names: list[str]) -> str:
    """Name the first classes and count the others."""
    rest = f" and {len(names) - NAMED} more classes" if len(names) > NAMED else ""
    return ", ".join(quote(name) for name in names[:NAMED]) + rest
