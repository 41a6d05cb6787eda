"""Which stored images sparse attention reads, found without keeping every similarity."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.memory.attention import SIMILARITIES, to_unit_length, unit_scale
from whence.memory.sparsemax import find_largest, find_threshold, sort_descending

GROUP = 32
"""Scores whose largest one stands for all of them in the first look at a block."""

TOP = 64
"""Group maxima kept per query from block to block; the support is rarely larger."""

BLOCK = 1 << 23
"""Scores computed at once."""


class Support(NamedTuple):
    """The pairs of query and stored image with a weight above 0, by query, then by place."""

    rows: Tensor  # (N,) int64, the query, in 0 .. B-1
    places: Tensor  # (N,) int64, the stored image, in 0 .. M-1
    scores: Tensor  # (N,) their similarity


@torch.no_grad()
def find_support(
    queries: Tensor,
    memory: Tensor,
    *,
    similarity: str = "cosine",
    scale: Tensor | None = None,
    mask: Tensor | None = None,
    block: int = BLOCK,
) -> Support:
    """Find the pairs that sparsemax gives a weight above 0, exactly, block by block.

    The threshold of sparsemax over some of the scores is never above the threshold over all. In
    each block the largest score of every small group is looked at; with those, the threshold so far
    is raised, and only the scores of groups that reach above it are looked at one by one. Beyond
    one block of scores nothing is kept but these few.

    Args:
        queries: `(B, D)` float32 or float64.
        memory: `(M, D)` of the same type.
        similarity: a name from ``SIMILARITIES``.
        scale: `(M,)` what ``unit_scale`` returns for the memory, if that is there already; used
            by "cosine" only.
        mask: `(B, M)` bool, True where a stored image may be used; every row has one.
        block: scores computed at once; changes memory use, not the result.

    Returns:
        `N` pairs; none for a query whose scores hold NaN.
    """
    found: list[Support] = []
    tops = queries.new_empty(len(queries), 0)
    threshold = queries.new_empty(len(queries), 1)
    for start, scores in score_blocks(queries, memory, similarity, scale, mask, block):
        groups = scores.unflatten(1, (-1, GROUP))  # (B, G, GROUP)
        maxima = groups.amax(2)
        tops = find_largest(torch.cat([tops, maxima], 1), TOP)
        threshold = find_bound(tops)  # (B, 1)
        rows, group = (maxima > threshold).nonzero(as_tuple=True)
        near = groups.flatten(0, 1).index_select(0, rows * groups.shape[1] + group)  # (n, GROUP)
        pair, member = (near > threshold[rows]).nonzero(as_tuple=True)
        places = start + group[pair] * GROUP + member
        found.append(Support(rows[pair], places, near[pair, member]))
    candidates = found[0] if len(found) == 1 else merge(found, threshold, len(memory))
    exact = find_threshold(pad(candidates, len(queries)))  # (B, 1)
    return keep(candidates, candidates.scores > exact[candidates.rows, 0])


def score_blocks(
    queries: Tensor,
    memory: Tensor,
    similarity: str,
    scale: Tensor | None,
    mask: Tensor | None,
    block: int,
) -> Iterator[tuple[int, Tensor]]:
    """Compare the queries with one stretch of the memory after another.

    Yields:
        Where the stretch begins, and its scores `(B, W)`, W a multiple of ``GROUP``; the places
        after the memory's end are minus infinity. The next one overwrites them.
    """
    total = len(memory)
    width = min(max(1, block // max(len(queries), 1)), total)
    width += -width % GROUP
    if similarity == "cosine":
        queries, scale = to_unit_length(queries), unit_scale(memory) if scale is None else scale
    scores = queries.new_empty(len(queries), width)
    for start in range(0, total, width):
        part = memory[start : start + width]
        here = scores[:, : len(part)]
        if scale is not None and similarity == "cosine":
            torch.mm(queries, part.mT, out=here)
            here *= scale[start : start + width]
        else:
            here.copy_(SIMILARITIES[similarity](queries, part))
        if mask is not None:
            here.masked_fill_(~mask[:, start : start + width], -torch.inf)
        scores[:, len(part) :] = -torch.inf
        yield start, scores


def find_bound(tops: Tensor) -> Tensor:
    """Bound the threshold `(B, 1)` of sparsemax from below by a part `(B, T)` of the scores."""
    top = tops[:, :1].abs()
    return find_threshold(tops) - 8 * torch.finfo(tops.dtype).eps * (1 + top)  # for rounding


def merge(found: Sequence[Support], threshold: Tensor, total: int) -> Support:
    """Put the pairs of all blocks in order, without those below what is known by now."""
    pairs = Support(*map(torch.cat, zip(*found, strict=True)))
    pairs = keep(pairs, pairs.scores > threshold[pairs.rows, 0])
    order = (pairs.rows * total + pairs.places).argsort()
    return Support(*(column[order] for column in pairs))


def keep(pairs: Support, wanted: Tensor) -> Support:
    """Select the pairs where ``wanted`` `(N,)` is True."""
    chosen = wanted.nonzero().squeeze(1)
    return Support(*(column.index_select(0, chosen) for column in pairs))


def pad(pairs: Support, queries: int) -> Tensor:
    """Lay the scores of pairs ordered by query out as `(B, S)`, descending, -inf at the end."""
    counts = pairs.rows.bincount(minlength=queries)
    starts = counts.cumsum(0) - counts
    columns = torch.arange(len(pairs.rows), device=counts.device) - starts[pairs.rows]
    padded = pairs.scores.new_full((queries, max(1, int(counts.max()))), -torch.inf)
    padded[pairs.rows, columns] = pairs.scores
    return sort_descending(padded)
