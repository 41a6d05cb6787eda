"""Gradients of a score with respect to features: the input's and those it reads.

Sparsemax gives an exactly zero gradient to every stored image without weight, so only the images
with weight are looked at, a few of many.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.target import Target
from whence.memory import SIMILARITIES
from whence.memory.attention import at_least_float32, weigh
from whence.memory.heads import MemoryHead

PAIRS = 8192
"""Pairs of an input and a stored image, padding included, that are held at once by default."""


class Memory(NamedTuple):
    """Stored images, some of which move, seen from S points on the path."""

    features: Tensor  # (M, D) of the images as they are
    labels: Tensor  # (M,)
    moved: Tensor  # (S, U, D) of the images that move, at each point
    places: Tensor  # (U,) which images these are
    moves: Tensor  # (B, M) bool, True where an image moves for an input
    mask: Tensor | None  # (B, M) bool, True where an image may be used


class Gradients(NamedTuple):
    """Gradients of some rows; row s * B + b is input b at point s. A: the most images read."""

    rows: Tensor  # (n,)
    scores: Tensor  # (n,)
    queries: Tensor  # (n, D) gradient with respect to the input's features
    read: Tensor  # (n, A, D) gradient with respect to the features of each image read
    places: Tensor  # (n, A) which images
    moving: Tensor  # (n, A) bool, False where the image stays as it is, and in the padding


def differentiate(
    head: MemoryHead,
    queries: Tensor,
    memory: Memory,
    target: Target,
    numbers: Tensor,
    *,
    pairs: int = PAIRS,
) -> Iterator[Gradients]:
    """Differentiate the score of each input at S points, a bounded part at a time.

    Args:
        head: its classifier and similarity.
        queries: `(S, B, D)` features of the inputs at each point.
        memory: what the inputs read.
        target: makes scores of logits.
        numbers: `(B,)` by which it knows the inputs.
        pairs: of an input and a stored image, padding included, held at once.

    Yields:
        All S * B rows, in order.
    """
    steps, total = queries.shape[:2]
    with torch.no_grad():
        weights = weigh_all(head, queries, memory)  # (S * B, M)
    width = int((weights > 0).sum(1).max())
    for rows in torch.arange(steps * total, device=weights.device).split(max(1, pairs // width)):
        step, image = rows // total, rows % total
        top, places = weights[rows].topk(width)  # (n, A)
        moving = (top > 0) & memory.moves[image[:, None], places]
        read, known = pick(memory, step, places, moving), numbers[image]
        scores, (query_gradients, read_gradients) = differentiate_active(
            head, queries[step, image], read, memory.labels[places], top > 0, target, known
        )
        yield Gradients(rows, scores, query_gradients, read_gradients, places, moving)


def weigh_all(head: MemoryHead, queries: Tensor, memory: Memory) -> Tensor:
    """Weigh all stored images, moved or not, for queries `(S, B, D)`; `(S * B, M)`."""
    similarity = SIMILARITIES[head.similarity]
    queries, moved = at_least_float32(queries), at_least_float32(memory.moved)
    with torch.autocast(queries.device.type, enabled=False):
        stored = at_least_float32(memory.features)
        scores = similarity(*head.pair(queries, stored, memory.labels))  # (S, B, M)
        staying = scores[..., memory.places]  # (S, B, U)
        labels = memory.labels[memory.places].expand(moved.shape[:-1])  # (S, U)
        gone = similarity(*head.pair(queries, moved, labels))  # (S, B, U)
        scores[..., memory.places] = torch.where(memory.moves[:, memory.places], gone, staying)
    mask = None if memory.mask is None else memory.mask.repeat(len(queries), 1)
    return weigh(scores.flatten(0, 1), mask=mask)


def pick(memory: Memory, step: Tensor, places: Tensor, moving: Tensor) -> Tensor:
    """Pick the features that each row reads: those of the moved image where it moves.

    Args:
        memory: M images of which U move.
        step: `(n,)` point of each row.
        places: `(n, A)` images read.
        moving: `(n, A)` bool.

    Returns:
        `(n, A, D)`.
    """
    column = torch.zeros(len(memory.features), dtype=torch.int64, device=places.device)
    column[memory.places] = torch.arange(len(memory.places), device=places.device)
    moved = memory.moved[step[:, None], column[places]]  # (n, A, D)
    return torch.where(moving[..., None], moved, memory.features[places])


def differentiate_active(
    head: MemoryHead,
    queries: Tensor,
    read: Tensor,
    labels: Tensor,
    allowed: Tensor,
    target: Target,
    numbers: Tensor,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Differentiate the score when each input has a small memory of its own.

    Args:
        head: its classifier and similarity.
        queries: `(n, D)`.
        read: `(n, A, D)` the memory of each.
        labels: `(n, A)` of it.
        allowed: `(n, A)` bool, False in the padding.
        target: makes scores of logits.
        numbers: `(n,)` by which it knows the inputs.

    Returns:
        Scores `(n,)`, and the gradients with respect to ``queries`` and ``read``.
    """
    similarity = SIMILARITIES[head.similarity]
    leaves = [at_least_float32(t).detach().requires_grad_() for t in (queries, read)]
    query, stored = leaves
    with torch.autocast(query.device.type, enabled=False):
        scores = similarity(*head.pair(query[:, None], stored, labels))[:, 0]
        weights = weigh(scores, mask=allowed)  # (n, A)
        vectors = (weights[:, None] @ head.values(stored, labels))[:, 0]  # (n, V)
    found = target.of(head.respond(query, vectors), numbers)
    return found.detach(), torch.autograd.grad(found.sum(), leaves)
