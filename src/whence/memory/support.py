"""Which stored images sparse attention reads, found without keeping every similarity."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from whence.memory.similarity import Similarity, find_similarity
from whence.memory.sparsemax import find_largest, find_threshold, sort_descending
from whence.memory.sparsemax import threshold as find_cut

GROUP = 32
"""Scores whose largest one stands for all of them in the first look at a block."""

BOUNDING = 800
"""Largest scores of a block that the threshold is first bounded by, at most.

With those kept from the blocks before they are rarely more than ``SORTED_WHOLE``.
"""

BLOCK = 1 << 23
"""Scores computed at once."""


class Support(NamedTuple):
    """The pairs of query and stored image with a weight above 0, by query, then by place."""

    rows: Tensor  # (N,) int64, the query, in 0 .. B-1
    places: Tensor  # (N,) int64, the stored image, in 0 .. M-1
    scores: Tensor  # (N,) their similarity
    weights: Tensor  # (N,) in (0, 1], those of a query sum to one


class Candidates(NamedTuple):
    """Pairs that may have a weight above 0."""

    rows: Tensor  # (N,)
    places: Tensor  # (N,)
    scores: Tensor  # (N,)


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
        scale: `(M,)` of the memory, from ``Similarity.scale``, if it was computed before.
        mask: `(B, M)` bool, True where a stored image may be used; every row has one.
        block: scores computed at once; changes memory use, not the result.

    Returns:
        `N` pairs; none for a query whose scores hold NaN.
    """
    if len(queries) == 0:
        nothing = queries.new_empty(0)
        return Support(nothing.long(), nothing.long(), nothing, nothing)
    found: list[Candidates] = []
    tops = queries.new_empty(len(queries), 0)
    threshold = queries.new_empty(len(queries), 1)
    known = find_similarity(similarity)
    for start, scores in score_blocks(queries, memory, known, scale, mask, block):
        groups = scores.view(-1, GROUP)  # (B G, GROUP)
        maxima = groups.amax(1).view(len(queries), -1)  # (B, G)
        few = max_pool1d(maxima, -(-maxima.shape[1] // BOUNDING), ceil_mode=True)
        seen = torch.cat([tops, few], 1)
        threshold = find_bound(seen)
        if start + scores.shape[1] < len(memory):  # the blocks to come need what the bound rests on
            tops = find_largest(seen, max(1, int((seen > threshold).sum(1).max())))
        near = find_true(maxima > threshold)  # (n,) groups
        members = groups.index_select(0, near)  # (n, GROUP)
        rows = near // maxima.shape[1]
        chosen = find_true(members > threshold.index_select(0, rows))  # (N,)
        of = chosen // GROUP  # which of the groups
        rows = rows.index_select(0, of)
        flat = near.index_select(0, of) * GROUP + chosen % GROUP - rows * scores.shape[1]
        found.append(Candidates(rows, start + flat, members.flatten().index_select(0, chosen)))
    candidates = found[0] if len(found) == 1 else merge(found, threshold, len(memory))
    ranked = pad(candidates, len(queries))  # (B, S)
    top = ranked[:, :1]
    exact = find_threshold(ranked - top)  # a shift changes nothing but the rounding
    rows, places, scores = candidates
    weights = scores - top.squeeze(1).index_select(0, rows) - exact.squeeze(1).index_select(0, rows)
    chosen = find_true(weights > 0)
    return Support(*(column.index_select(0, chosen) for column in (rows, places, scores, weights)))


def score_blocks(
    queries: Tensor,
    memory: Tensor,
    similarity: Similarity,
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
    write = prepare(queries, memory, similarity, scale)
    scores = queries.new_empty(len(queries), width)
    for start in range(0, total, width):
        here = scores[:, : total - start]
        write(start, here)
        if mask is not None:
            here.masked_fill_(~mask[:, start : start + width], -torch.inf)
        scores[:, total - start :] = -torch.inf
        yield start, scores


def prepare(
    queries: Tensor, memory: Tensor, similarity: Similarity, scale: Tensor | None
) -> Callable[[int, Tensor], object]:
    """Return what writes the scores of stored images from a place on, in the fastest way."""
    if similarity.compare is None:
        return lambda start, scores: scores.copy_(
            similarity(queries, memory[start : start + scores.shape[1]])
        )
    return similarity.compare(queries, memory, scale)


def find_bound(scores: Tensor) -> Tensor:
    """Bound the threshold of sparsemax from below by a part of the scores.

    It rests on those above it alone: with only them it is the same.

    Args:
        scores: `(B, G)` some of each query's scores, at least one.

    Returns:
        `(B, 1)`.
    """
    top = scores.amax(1, keepdim=True)
    bound: Tensor = top + find_cut(scores - top)
    return bound - 8 * torch.finfo(scores.dtype).eps * (1 + top.abs())  # for rounding


def merge(found: Sequence[Candidates], threshold: Tensor, total: int) -> Candidates:
    """Put the pairs of all blocks in order, without those below what is known by now."""
    rows, places, scores = map(torch.cat, zip(*found, strict=True))
    chosen = find_true(scores > threshold.squeeze(1).index_select(0, rows))
    chosen = chosen[(rows[chosen] * total + places[chosen]).argsort()]
    return Candidates(rows[chosen], places[chosen], scores[chosen])


def pad(pairs: Candidates, queries: int) -> Tensor:
    """Lay the scores of pairs ordered by query out as `(B, S)`, descending, -inf at the end."""
    counts = pairs.rows.bincount(minlength=queries)
    columns = torch.arange(max(1, int(counts.max())), device=counts.device)
    padded = pairs.scores.new_full((queries, len(columns)), -torch.inf)
    return sort_descending(padded.masked_scatter_(columns < counts[:, None], pairs.scores))


def find_true(mask: Tensor) -> Tensor:
    """List where a mask holds, as places in the flat mask; on a CPU by numpy, which is faster."""
    if mask.device.type != "cpu":
        return mask.flatten().nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(mask.numpy()))
