"""How similar the stored images of each class are to queries, read block by block."""

from typing import NamedTuple

import torch
from torch import Tensor

SCORES_AT_ONCE = 1 << 21
"""Products of queries and stored images that are held together."""


class ClassScores(NamedTuple):
    """What all stored images of each class say, without looking at weights."""

    highest: Tensor  # (B, K) the highest score, minus infinity without an image
    summed: Tensor  # (B, K) log of the sum of the exponentials of all warmed scores
    similarity: Tensor  # (B,) the highest of all, as people see it


class Sums(NamedTuple):
    """What is added up of scores, class by class."""

    highest: Tensor  # (B, K)
    summed: Tensor  # (B, K)


def sum_classes(
    queries: Tensor,
    memory: Tensor,
    labels: Tensor,
    classes: int,
    *,
    warmth: float | Tensor = 1.0,
    mask: Tensor | None = None,
    block: int = SCORES_AT_ONCE,
) -> Sums:
    """Sum up the products of queries with all stored images by class, never holding all of them.

    Args:
        queries: `(B, D)`.
        memory: `(M, D)`.
        labels: `(M,)` in 0 .. K-1.
        classes: K.
        warmth: by what scores are multiplied before they are summed.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.
        block: products computed at once; changes memory use, not the result.
    """
    rows = max(1, block // max(1, len(queries)))
    found = None
    for first in range(0, len(memory), rows):
        part = slice(first, first + rows)
        scores = queries @ memory[part].T  # (B, m)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, part], -torch.inf)
        own = sum_scores(scores, labels[part], classes, warmth)
        found = own if found is None else join_blocks(found, own)
    if found is None:
        raise ValueError("memory must hold at least one image, got none.")
    return found


def sum_scores(scores: Tensor, labels: Tensor, classes: int, warmth: float | Tensor) -> Sums:
    """Sum up scores `(B, m)` by their labels `(m,)` in K classes.

    >>> found = sum_scores(torch.tensor([[2.0, 3.0, 5.0]]), torch.tensor([0, 0, 2]), 3, 1.0)
    >>> found.highest
    tensor([[3., -inf, 5.]])
    """
    places = labels.expand_as(scores)
    nothing = torch.full_like(scores[:, :1], -torch.inf).expand(-1, classes)
    highest = nothing.scatter_reduce(1, places, scores, "amax")  # (B, K)
    level = highest.masked_fill(highest == -torch.inf, 0)
    shares = ((scores - level.gather(1, places)) * warmth).exp()  # (B, m) in [0, 1]
    sums = torch.zeros_like(highest).scatter_add(1, places, shares)
    return Sums(highest, level * warmth + sums.log())


def join_blocks(one: Sums, other: Sums) -> Sums:
    """Put the sums over two blocks together."""
    return Sums(
        torch.maximum(one.highest, other.highest), torch.logaddexp(one.summed, other.summed)
    )
