"""Which stored images all answers together read."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.evidence.answers import Memory, add_class_scores, read_memory, rows_at_once, signals_of
from whence.memory.bank import Bank
from whence.metrics.doubt import measure_doubts, read_alone
from whence.models.classifier import Classifier
from whence.records.memory_use import MemoryUse, Used
from whence.shapes import check_shape

TOP = 12
"""Stored images that each list of the most used ones has."""


class Use(NamedTuple):
    """How much each stored image was read by many answers."""

    weights: Tensor  # (M,) float64, sum over all answers
    wrong: Tensor  # (M,) float64, sum over the wrong ones
    answers: Tensor  # (M,) int64, in how many it had a weight above 0


class Readings(NamedTuple):
    """What all answers are measured by, on the CPU."""

    predicted: Tensor  # (N,) int64, classes of the answers
    probabilities: Tensor  # (N,) float32, of the answers
    doubts: Tensor  # (N, S) float64, a column per signal of the model
    use: Use | None  # None for a standard model


def read_all(model: Classifier, features: Tensor, labels: Tensor, *, batch_size: int) -> Readings:
    """Answer for features `(N, D)` with the whole memory, and add up which images were read.

    Args:
        model: in eval mode.
        features: of the images.
        labels: `(N,)` true classes, on the same device.
        batch_size: answers computed at once.
    """
    names, logits, doubts = signals_of(model), [], []
    bank = model.checked_bank() if model.has_memory else None
    memory = None if bank is None else Memory.of(model)
    use = None if bank is None else start_use(bank)
    rows = batch_size if bank is None else rows_at_once(batch_size, len(bank))
    for part, truth in zip(features.split(rows), labels.split(rows), strict=True):
        if memory is None or use is None:
            read, own = read_alone(model.head(part)), labels[:0]
            read = read._replace(predicted=model.head.decide(read.logits))
        else:
            read, places, _ = read_memory(model.memory_head, part, memory)
            read = read._replace(predicted=model.head.decide(read.logits))
            read = add_class_scores(read, model.memory_head, part, memory, names)
            own = memory.own[places]
            use = add_use(use, places, read.weights, read.answers != truth)
        logits.append(read.logits.cpu())
        doubts.append(measure_doubts(read, own, names).cpu())
    moved = None if use is None else Use(*(column.cpu() for column in use))
    found = torch.cat(logits)
    predicted = model.head.decide(found)
    probabilities = model.head.probabilities(found).gather(1, predicted[:, None]).squeeze(1)
    return Readings(predicted, probabilities, torch.cat(doubts), moved)


def start_use(bank: Bank) -> Use:
    """Begin to count how much the stored images are read."""
    nothing = torch.zeros(len(bank), dtype=torch.float64, device=bank.features.device)
    return Use(nothing, nothing, nothing.long())


def add_use(use: Use, places: Tensor, weights: Tensor, wrong: Tensor) -> Use:
    """Add what `B` more answers read.

    Args:
        use: of the answers before.
        places: `(B, S)` stored images.
        weights: `(B, S)` theirs, rows sum to one.
        wrong: `(B,)` bool.
    """
    sizes = check_shape("weights", weights, "B S")
    check_shape("places", places, "B S", **sizes)
    check_shape("wrong", wrong, "B", B=sizes["B"])
    exact, chosen = weights.double(), places.flatten()
    return Use(
        use.weights.index_add(0, chosen, exact.flatten()),
        use.wrong.index_add(0, chosen, (exact * wrong[:, None]).flatten()),
        use.answers.index_add(0, chosen, (weights > 0).long().flatten()),
    )


def describe_use(use: Use, indices: Sequence[int], *, top: int = TOP) -> MemoryUse:
    """Choose the stored images that were used most, in all answers and in wrong ones.

    Args:
        use: of `M` stored images.
        indices: the dataset index of each.
        top: length of each list.
    """
    weights = use.weights.sort(descending=True).values
    # One part in a million is rounding: the weights are float32.
    enough = weights.cumsum(0) >= weights.sum() * (0.5 - 1e-6)  # (M,)
    return MemoryUse(
        size=len(indices),
        unused=int((use.answers == 0).sum()),
        half=int(enough.long().argmax()) + 1,
        most=rank_use(use, use.weights, indices, top),
        misleading=rank_use(use, use.wrong, indices, top),
    )


def rank_use(use: Use, by: Tensor, indices: Sequence[int], top: int) -> tuple[Used, ...]:
    """List the stored images with the largest numbers ``by`` `(M,)` above 0, ties by index."""
    amounts = by.tolist()
    used = (place for place, amount in enumerate(amounts) if amount > 0)
    first = heapq.nsmallest(top, used, key=lambda place: (-amounts[place], indices[place]))
    return tuple(
        Used(
            index=indices[place],
            weight=float(use.weights[place]),
            wrong=float(use.wrong[place]),
            answers=int(use.answers[place]),
        )
        for place in first
    )
