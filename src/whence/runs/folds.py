"""Cross-validation: every image is tested once, by a run that did not learn from it."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from whence.bounds import check_number
from whence.data.fingerprint import content_hashes, find_places
from whence.data.group_draw import SEEDS, divide_groups
from whence.messages import quote
from whence.records.images import Dataset, ImageSet
from whence.records.spread import find_spread
from whence.runs.marks import take_marks

FOLD_MEASURES = ("accuracy", "balanced_accuracy")
"""What the table of folds has of each, beside recall of every class."""


@dataclass(frozen=True)
class Pooled:
    """Images that are divided into folds, and the places of those of one training.

    Attributes:
        images: all of them.
        learnt: `(n,)` places of the training images, those for the validation among them.
        tested: `(m,)` places of the test images.
    """

    images: ImageSet
    learnt: Tensor
    tested: Tensor


def read_fold(text: str) -> tuple[int, int]:
    """Read which fold of how many is tested, counted from 1.

    Raises:
        ValueError: if it is not of the form K/N.

    >>> read_fold("2/5")
    (2, 5)
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) or int(found[2]) < 2:
        raise ValueError(
            f"fold must be K/N, such as 2/5 for the second of five, got {quote(text)}."
        )
    return int(found[1]), int(found[2])


def divide_folds(dataset: Dataset, folds: int, seed: int) -> Tensor:
    """Divide training images into folds of like classes, no group between two; `(N,)` from 0 on.

    The same for all trainings on them with one seed.

    Raises:
        ValueError: if a class, or the groups, are fewer than two, or than the folds.
    """
    check_number("folds", folds)
    first, names = dataset.marks.first_labels, dataset.train.class_names
    labels = dataset.train.labels if first is None else first
    if dataset.marks.groups is not None:
        return divide_groups(labels, dataset.marks.groups, folds, seed=seed)
    counts = labels.bincount(minlength=len(names))
    if int(counts.max()) < folds:
        raise ValueError(
            f"folds must be at most {int(counts.max())}, the images of the largest class, got "
            f"{folds}."
        )
    from sklearn.model_selection import StratifiedKFold  # late: few trainings have folds

    divider = StratifiedKFold(folds, shuffle=True, random_state=seed % SEEDS)
    found = torch.empty(len(labels), dtype=torch.int64)
    with warnings.catch_warnings():  # of all threads, for a moment: scikit-learn has no switch
        warnings.simplefilter("ignore", UserWarning)  # a class rarer than folds, which is said
        for fold, (_, inside) in enumerate(divider.split(labels.numpy(), labels.numpy())):
            found[torch.from_numpy(inside)] = fold
    return found


def take_fold(dataset: Dataset, fold: str, seed: int) -> tuple[Dataset, Pooled]:
    """Make the data of one training: a fold to test, all others to learn from.

    Args:
        dataset: whose training images are divided; those for the validation are among them, and
            are drawn anew. Its test images stay out.
        fold: K/N.
        seed: of the division.
    """
    number, folds = read_fold(fold)
    inside = divide_folds(dataset, folds, seed) == number - 1
    removed = dataset.marks.removed
    learnt = (~inside).nonzero().flatten()
    tested = (inside if removed is None else inside & ~removed).nonzero().flatten()
    marks = take_marks(replace(dataset.marks, validation=None), learnt)
    found = Dataset(
        dataset.name, dataset.train.take(learnt), dataset.train.take(tested), dataset.notes, marks
    )
    return found, Pooled(dataset.train, learnt, tested)


def describe_folds(dataset: Dataset, folds: int, seed: int) -> list[str]:
    """Say how images are divided into folds, and what makes that less than it seems."""
    part_of = divide_folds(dataset, folds, seed)
    counts = part_of.bincount(minlength=folds).tolist()
    what = "whole groups" if dataset.marks.groups is not None else "images"
    notes = [
        f"{len(part_of):,} images are divided into {folds} folds of {what}, classes alike, with "
        f"seed {seed}: {min(counts):,} to {max(counts):,} images each."
    ]
    if len(dataset.test):
        notes.append(f"The {len(dataset.test):,} test images stay out of the folds.")
    if dataset.marks.validation is not None:
        notes.append("Validation images that the data name are divided as well; others are drawn.")
    names, labels = dataset.train.class_names, dataset.train.labels
    rare = [k for k, name in enumerate(names) if len(part_of[labels == k].unique()) < folds]
    if rare:
        notes.append(f"Not every fold has an image of {quote(names[rare[0]])}.")
    places = find_places(content_hashes(dataset.train.images))
    apart = [one for one in places.values() if len({int(part_of[place]) for place in one}) > 1]
    if apart:
        sources = dataset.train.sources
        named = [f"image {k}" if sources is None else sources[k] for k in apart[0][:2]]
        notes.append(
            f"{sum(map(len, apart)):,} images are in two folds or more (first: {named[0]} = "
            f"{named[1]}); give them one group, accuracy on them says nothing about new images."
        )
    return notes


def summarise_folds(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average what was measured on the folds, and count all answers together.

    Args:
        metrics: the content of ``metrics.json`` of each fold.

    Returns:
        JSON: for each number its values, mean and population deviation; and the share of all images
        that was answered right.
    """
    tests = [one["test"] for one in metrics]
    columns = {name: [test[name] for test in tests] for name in FOLD_MEASURES}
    columns |= {
        f"recall of {first['class']}": [test["by_class"][place]["recall"] for test in tests]
        for place, first in enumerate(tests[0]["by_class"])
    }
    columns["AUROC of the error probability"] = [test["flag"]["auroc"] for test in tests]
    if all(test.get("beside") for test in tests):
        columns["linear probe"] = [test["beside"]["linear_probe"]["accuracy"] for test in tests]
    images = sum(test["images"] for test in tests)
    return {
        "folds": len(tests),
        "images": images,
        "right": sum(one["right"] for test in tests for one in test["by_class"]),
        "measures": {name: spread_out(values) for name, values in columns.items()},
    }


def summarise_seeds(summaries: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Average repeated cross-validations, each of which counts by the mean of its folds.

    Args:
        summaries: what ``summarise_folds`` gives, by the seed that divided the images.

    Returns:
        JSON: for each number its means, one for each seed, their mean and population deviation.
    """
    measures = [one["measures"] for one in summaries.values()]
    return {
        "seeds": list(summaries),
        "measures": {
            name: spread_out([one[name]["mean"] for one in measures]) for name in measures[0]
        },
    }


def spread_out(values: Sequence[float | None]) -> dict[str, Any]:
    """Lay out numbers with their mean and population deviation; None is left out of these."""
    found = find_spread(values)
    mean, std = (None, None) if found is None else found
    return {"values": list(values), "mean": mean, "std": std}
