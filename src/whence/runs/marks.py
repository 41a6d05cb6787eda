"""What a run's data say of its images besides classes: groups, weights, validation images."""

import hashlib
from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from whence.data.overlap import overlap_notes
from whence.data.split import find_groups
from whence.messages import count
from whence.records.images import Dataset, Marks
from whence.runs.divide import divide
from whence.runs.settings import Settings


def hash_marks(marks: Marks) -> str | None:
    """Hash what decides a training besides its images; None where nothing is known."""
    parts = {field.name: getattr(marks, field.name) for field in fields(marks)}
    if all(part is None for part in parts.values()):
        return None
    digest = hashlib.sha256()
    for name, part in parts.items():
        if part is not None:
            digest.update(f"{name} {len(part)} {part.dtype}\n".encode())
            digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def describe_marks(settings: Settings, dataset: Dataset) -> list[str]:
    """Say how groups, weights and validation images that the data name are used."""
    marks, notes = dataset.marks, []
    if marks.validation is not None:
        notes.append(f"The data name {count(len(marks.validation), 'validation image')}.")
        learnt = torch.ones(len(dataset.train), dtype=torch.bool)
        learnt[marks.validation] = False
        rest = dataset.train.take(learnt.nonzero().flatten())
        notes += overlap_notes(rest, dataset.train.take(marks.validation), "validation")
    elif find_groups(marks) is not None and marks.groups is not None:
        parts = divide(dataset, settings)
        inside, outside = (
            count_groups(marks.groups, part) for part in (parts.validation, parts.train)
        )
        if inside:
            notes.append(
                f"{count(len(parts.validation), 'image')} for the validation: "
                f"{count(inside, 'whole group')}, {count(outside, 'group')} to learn from."
            )
    elif marks.groups is not None:
        notes.append(
            "One group alone is left to learn from: the validation images are drawn from it, and "
            "are easier than those of a new group."
        )
    if marks.counts is not None:
        low, high = float(marks.counts.min()), float(marks.counts.max())
        notes.append(f"Images count in the training by their weights, from {low:g} to {high:g}.")
    return notes


def count_groups(groups: Tensor, places: Tensor) -> int:
    """Count the groups of the images at some places."""
    return len(groups[places].unique())


def take_counts(marks: Marks, places: Tensor) -> Tensor | None:
    """Return how much each of the training images at ``places`` `(n,)` counts, 1 on average.

    Raises:
        ValueError: if all of them count nothing.
    """
    if marks.counts is None:
        return None
    counts = marks.counts[places]
    if not bool((counts > 0).any()):
        raise ValueError(
            f"weights must be above 0 for some image to learn from, those of all {len(places):,} "
            "are 0."
        )
    return counts / counts.mean()


def take_marks(marks: Marks, places: Sequence[int] | Tensor) -> Marks:
    """Keep the marks of the training images at some places `(n,)`, in that order."""
    chosen = torch.as_tensor(places, dtype=torch.int64)
    validation = None
    if marks.validation is not None:
        validation = torch.isin(chosen, marks.validation).nonzero().flatten()
    return Marks(
        groups=None if marks.groups is None else marks.groups[chosen],
        validation=validation,
        counts=None if marks.counts is None else marks.counts[chosen],
        first_labels=None if marks.first_labels is None else marks.first_labels[chosen],
        removed=None if marks.removed is None else marks.removed[chosen],
    )
