"""Sparse attention over a memory of any size: sparse weights out, sparse gradients in."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.kinds import check_kind
from whence.memory.attention import (
    at_least_float32,
    check_mask,
    check_pair,
    recall,
    score,
    weigh,
)
from whence.memory.read_pairs import ReadPairs, read_without_rule, sum_rows
from whence.memory.similarity import find_similarity, suit
from whence.memory.support import BLOCK, Support, find_support
from whence.shapes import check_shape

SMALL, FEW = 512, 2048
"""Stored images, or else pairs of a query and an image, up to which dense weights cost less than
looking for the sparse ones."""


class Pairs(NamedTuple):
    """The `N` pairs of query and stored image with a weight, by query, then by place."""

    rows: Tensor  # (N,) int64, the query, in 0 .. B-1
    places: Tensor  # (N,) int64, the stored image, in 0 .. M-1
    weights: Tensor  # (N,) in (0, 1], those of a query sum to one
    scores: Tensor  # (N,) the similarities, without a gradient


class Attended(NamedTuple):
    """What attention reads out of a memory."""

    vectors: Tensor  # (B, D), or (B, V) of values
    pairs: Pairs


def attend(
    queries: Tensor,
    memory: Tensor,
    *,
    similarity: str = "cosine",
    mask: Tensor | None = None,
    scale: Tensor | None = None,
    values: Tensor | None = None,
    block: int = BLOCK,
) -> Attended:
    """Read a memory with sparse attention, never holding all weights or their gradient.

    The same function as ``score``, ``weigh`` and ``recall`` one after the other (La Rosa et al.
    2021, arXiv:2106.01440, equations 2 and 3), exact up to rounding, at little more than the cost
    of comparing queries and memory. Float32 or float64, whatever autocast says. Vectors and
    weights can be differentiated once; the gradient looks at the pairs with a weight only.

    Args:
        queries: `(B, D)` features of the images to classify.
        memory: `(M, D)` features of the stored images.
        similarity: a name from ``SIMILARITIES``.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.
        scale: `(M,)` of this memory, from ``Similarity.scale``, if it was computed before; saves a
            pass over the memory.
        values: `(M, V)` what is summed by weight; None, or the memory itself, sums its features.
        block: scores computed at once; changes memory use, not the result.

    Returns:
        Memory vectors and sparse weights. Where a query's scores hold NaN, its memory vector is NaN
        and it has no weights.

    Raises:
        ValueError: on shapes that do not fit, an empty memory, an unknown similarity, or a row of
            the mask that allows nothing.

    >>> queries, memory = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> attend(queries, memory, similarity="dot").pairs.weights
    tensor([1.])
    """
    check_pair(queries, memory)
    check_kind("block", block, (int,))
    known = find_similarity(similarity)
    other = None if values is memory else values
    if other is not None:
        check_shape("values", other, "M V", M=len(memory))
    if mask is not None:
        check_mask(mask, len(queries), len(memory))
    if scale is not None:
        check_shape("scale", scale, "M", M=len(memory))
    with torch.autocast(queries.device.type, enabled=False):
        queries, memory = at_least_float32(queries), at_least_float32(memory)
        if known.scale is None:
            scale = None
        elif scale is None:
            scale = known.scale(memory.detach())  # (M,)
        known = suit(known, queries, scale)
        found = find_support(queries, memory, similarity=known, scale=scale, mask=mask, block=block)
        if known.rule is None:
            weights, vectors = read_without_rule(queries, memory, *found, known)
        else:
            weights, vectors = ReadPairs.apply(queries, memory, scale, *found, known.rule)
        if other is not None:
            vectors = sum_values(other, found, weights, len(queries))
    return Attended(vectors, Pairs(found.rows, found.places, weights, found.scores))


def sum_values(values: Tensor, found: Support, weights: Tensor, queries: int) -> Tensor:
    """Sum values `(M, V)` by the weights `(N,)` of pairs; `(B, V)`, NaN where a query has none."""
    counts = found.rows.bincount(minlength=queries)
    summed = sum_rows(values.to(weights.dtype), found.places, counts, weights)
    return summed.masked_fill((counts == 0)[:, None], torch.nan)


def lay_out(pairs: Pairs, queries: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lay pairs out as one row for each query.

    Args:
        pairs: of ``queries`` queries.
        queries: B.

    Returns:
        Places, weights and scores, `(B, S)` each, S the largest number of pairs of a query, but at
        least 1. Shorter rows are filled up with place 0, weight 0 and score minus infinity.

    >>> rows, places = torch.tensor([[0, 1, 1], [7, 2, 5]])
    >>> lay_out(Pairs(rows, places, torch.tensor([1, 0.5, 0.5]), torch.ones(3)), 2)[0]
    tensor([[7, 0],
            [2, 5]])
    """
    counts = pairs.rows.bincount(minlength=queries)
    widest = int(counts.max()) if queries else 0
    columns = torch.arange(max(1, widest), device=counts.device)
    filled = columns < counts[:, None]  # (B, S)
    rows = []
    for values, rest in ((pairs.places, 0), (pairs.weights, 0), (pairs.scores, -torch.inf)):
        rows.append(values.new_full(filled.shape, rest).masked_scatter_(filled, values))
    return rows[0], rows[1], rows[2]


def read_vectors(
    queries: Tensor,
    memory: Tensor,
    *,
    similarity: str,
    mask: Tensor | None = None,
    scale: Tensor | None = None,
    values: Tensor | None = None,
) -> Tensor:
    """Compute the memory vectors `(B, D)` alone, in the way that is faster for this memory.

    Arguments as for ``attend``. Of a small memory all weights are held.
    """
    values = memory if values is None else values
    blind = torch._C._are_functorch_transforms_active() or torch.compiler.is_exporting()
    if not blind:  # these take operations that they know, and no look at the numbers
        if len(memory) > SMALL and len(queries) * len(memory) > FEW:
            found = attend(
                queries, memory, similarity=similarity, mask=mask, scale=scale, values=values
            )
            return found.vectors
        read = find_similarity(similarity).read
        if read is not None and torch.is_grad_enabled() and values is memory:
            return read(queries, memory, mask)
    scores = score(queries, memory, similarity=similarity, scale=scale)
    return recall(weigh(scores, mask=mask), values)
