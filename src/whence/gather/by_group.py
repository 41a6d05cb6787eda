"""The answers of a run group by group, and what the errors of the worst group rest on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whence.evidence.answers import Memory, read_memory, rows_at_once
from whence.gather.use_of_memory import describe_use, read_all
from whence.models.classifier import Classifier
from whence.records.by_group import ByGroup, GroupMeasures, Groups
from whence.records.class_curves import Answered
from whence.records.memory_use import Used

LEAST_IMAGES = 10
"""Measured images that a group needs to be called the worst, where some group has as many."""


def measure_groups(
    model: Classifier, features: Tensor, answered: Answered, groups: Groups, *, batch_size: int
) -> ByGroup:
    """Measure answers group by group.

    Args:
        model: in eval mode, with its bank.
        features: `(N, E)` of the measured images.
        answered: their answers, with their true classes.
        groups: of the measured images and of the stored ones.
        batch_size: answers computed at once.

    Raises:
        ValueError: if groups do not fit the images, or there is one group alone.
    """
    names = check_groups(model, groups, len(features))
    numbers = torch.tensor([names.index(one) for one in groups.measured])
    own = weigh_own(model, features, numbers, groups, names, batch_size=batch_size)
    found = [
        measure_group(name, numbers == number, answered, own, groups)
        for number, name in enumerate(names)
    ]
    enough = [one for one in found if one.images >= LEAST_IMAGES] or found
    worst = min(enough, key=lambda one: (one.accuracy, -one.images)).name
    found.sort(key=lambda one: (one.accuracy, -one.images))
    misleading, stored = list_misleading(
        model, features, numbers == names.index(worst), answered, groups, batch_size=batch_size
    )
    return ByGroup(groups.origin, tuple(found), worst, misleading, stored)


def check_groups(model: Classifier, groups: Groups, images: int) -> list[str]:
    """List the groups of the measured images.

    Raises:
        ValueError: if groups do not fit the images, or there is one group alone.
    """
    sizes = {"measured": (len(groups.measured), images)}
    if model.bank is not None and groups.stored:
        sizes["stored"] = (len(groups.stored), len(model.bank))
    for part, (got, wanted) in sizes.items():
        if got != wanted:
            raise ValueError(
                f"groups must name the group of each of {wanted:,} {part} images, got {got:,}."
            )
    names = sorted(set(groups.measured))
    if len(names) < 2:
        raise ValueError(
            f"groups must be at least two to be compared, all {images:,} measured images are of "
            f"{names[0]} ({groups.origin})."
        )
    return names


def weigh_own(
    model: Classifier,
    features: Tensor,
    numbers: Tensor,
    groups: Groups,
    names: Sequence[str],
    *,
    batch_size: int,
) -> Tensor | None:
    """Sum the weight of each answer on stored images of the image's own group, `(N,)`.

    None without a memory, and where the groups of stored images are not known.
    """
    if model.bank is None or not any(one is not None for one in groups.stored):
        return None
    memory, known = Memory.of(model), {name: number for number, name in enumerate(names)}
    stored = torch.tensor([-1 if one is None else known.get(one, -1) for one in groups.stored])
    rows, sums = rows_at_once(batch_size, len(memory.features)), []
    for part, mine in zip(features.split(rows), numbers.split(rows), strict=True):
        read, places, _ = read_memory(model.memory_head, part, memory)
        same = stored[places.cpu()] == mine[:, None]  # (B, S)
        sums.append((read.weights.cpu().double() * same).sum(1))
    return torch.cat(sums)


def measure_group(
    name: str, inside: Tensor, answered: Answered, own: Tensor | None, groups: Groups
) -> GroupMeasures:
    """Measure the answers to the images `(N,)` bool of one group."""
    if answered.labels is None:
        raise ValueError("groups are measured on images whose true classes are known.")
    labels, classes = answered.labels[inside], len(answered.class_names)
    hits = answered.predicted[inside] == labels

    def average(numbers: Tensor | None) -> float | None:
        return None if numbers is None else float(numbers[inside].double().mean())

    return GroupMeasures(
        name,
        len(labels),
        int(hits.sum()),
        tuple(labels.bincount(minlength=classes).tolist()),
        tuple(labels[hits].bincount(minlength=classes).tolist()),
        reliance=average(answered.reliance),
        doubt=average(answered.error_probabilities),
        own_weight=average(own),
        stored=None if own is None else groups.stored.count(name),
    )


def list_misleading(
    model: Classifier,
    features: Tensor,
    inside: Tensor,
    answered: Answered,
    groups: Groups,
    *,
    batch_size: int,
) -> tuple[tuple[Used, ...], tuple[tuple[int, str], ...]]:
    """List the stored images that wrong answers in a group read most, and their groups."""
    bank, labels = model.bank, answered.labels
    if bank is None or labels is None:
        return (), ()
    rows = inside.nonzero().squeeze(1).to(features.device)
    truth = labels.to(features.device)[rows]
    use = read_all(model, features[rows], truth, batch_size=batch_size).use
    if use is None:
        return (), ()
    indices = bank.indices.tolist()
    found = describe_use(use, indices).misleading
    if not groups.stored:
        return found, ()
    of = dict(zip(indices, groups.stored, strict=True))
    known = ((one.index, of[one.index]) for one in found)
    return found, tuple((index, name) for index, name in known if name is not None)
