"""Which stored images sparse attention reads, found without keeping every similarity.

Three steps, a stretch of the memory at a time. One query and four stored images, of which two are
compared at once:

    similarities 0.9 and 0.2    bound        their threshold is (0.9 + 0.2 - 1) / 2 = 0.05, and that
                                             of all four cannot be lower
                                survivors    0.9 and 0.2, both above it
    similarities 0.7 and -0.3   bound        with 0.9 and 0.2, (0.9 + 0.7 - 1) / 2 = 0.3
                                survivors    0.7; -0.3 is forgotten
    at the end                  exact        of 0.9, 0.2 and 0.7 the threshold is 0.3, so that 0.2
                                             gets nothing, 0.7 the weight 0.4 and 0.9 the rest

The functions below have the same numbers as examples.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from whence.memory.equal_rows import find_equal_rows, tell_apart
from whence.memory.similarity import Comparison, Similarity
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

FEW_SCORES = 1 << 19
"""Scores of a block up to which a look at groups costs more than it saves."""

NUMBERS_OF_PAIRS = 1 << 21
"""Features of single pairs that are compared at once."""


class Support(NamedTuple):
    """The pairs of query and stored image with a weight above 0, by query, then by place."""

    rows: Tensor  # (N,) int64, the query, in 0 .. B-1
    places: Tensor  # (N,) int64, the stored image, in 0 .. M-1
    scores: Tensor  # (N,) their similarity
    weights: Tensor  # (N,) in (0, 1], those of a query sum to one


class Candidates(NamedTuple):
    """Pairs that may have a weight above 0, by query, then by place."""

    rows: Tensor  # (N,)
    places: Tensor  # (N,)
    scores: Tensor  # (N,)


@torch.no_grad()
def find_support(
    queries: Tensor,
    memory: Tensor,
    *,
    similarity: Similarity,
    scale: Tensor | None = None,
    mask: Tensor | None = None,
    block: int = BLOCK,
) -> Support:
    """Find the pairs that sparsemax gives a weight above 0, exactly, block by block.

    The threshold of sparsemax over some of the scores is never above the threshold over all. In
    each block the largest score of every small group is looked at; with those, the threshold so far
    is raised, and only the scores of groups that reach above it are looked at one by one. Beyond
    one block of scores nothing is kept but these few. What products may lose to rounding is taken
    off the bound, and the survivors are compared again: so the result is the same whatever the
    block, and stored images with equal features have equal scores.

    Args:
        queries: `(B, D)` float32 or float64.
        memory: `(M, D)` of the same type.
        similarity: that they are compared by.
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
    least = queries.new_empty(len(queries), 1)
    comparison = prepare(queries, memory, similarity, scale)
    for start, scores in score_blocks(queries, memory, comparison, mask, block):
        maxima = scores.view(-1, GROUP).amax(1).view(len(queries), -1)  # (B, G)
        few = max_pool1d(maxima, -(-maxima.shape[1] // BOUNDING), ceil_mode=True)
        seen = torch.cat([tops, few], 1)
        threshold = find_bound(seen)
        if start + scores.shape[1] < len(memory):  # the blocks to come need what the bound rests on
            tops = find_largest(seen, max(1, int((seen > threshold).sum(1).max())))
        least = threshold - 2 * comparison.error  # once for the bound, once for what it is held to
        some = find_survivors(scores, maxima, least, start)
        found.append(compare_again(some, queries, memory, similarity))
    left = found[0] if len(found) == 1 else merge(found, least, len(memory))
    if similarity.pairs is None:
        left = level_pairs(left, memory, comparison.keys)
    return weigh_exactly(left, len(queries))


def prepare(
    queries: Tensor, memory: Tensor, similarity: Similarity, scale: Tensor | None
) -> Comparison:
    """Prepare the fastest way to compare queries and memory stretch by stretch."""
    if similarity.compare is not None:
        return similarity.compare(queries, memory, scale)
    return Comparison(
        lambda start, scores: scores.copy_(
            similarity(queries, memory[start : start + scores.shape[1]])
        ),
        0.0,
        tell_apart(memory) if scale is None else scale,
    )


def score_blocks(
    queries: Tensor, memory: Tensor, comparison: Comparison, mask: Tensor | None, block: int
) -> Iterator[tuple[int, Tensor]]:
    """Compare the queries with one stretch of the memory after another.

    Yields:
        Where the stretch begins, and its scores `(B, W)`, W a multiple of ``GROUP``; the places
        after the memory's end are minus infinity. The next one overwrites them.
    """
    total = len(memory)
    width = min(max(1, block // max(len(queries), 1)), total)
    width += -width % GROUP
    scores = queries.new_empty(len(queries), width)
    for start in range(0, total, width):
        here = scores[:, : total - start]
        comparison.write(start, here)
        if mask is not None:
            here.masked_fill_(~mask[:, start : start + width], -torch.inf)
        scores[:, total - start :] = -torch.inf
        yield start, scores


def find_bound(scores: Tensor) -> Tensor:
    """Bound the threshold of sparsemax from below by a part of the scores.

    It rests on those above it alone: with only them it is the same.

    Args:
        scores: `(B, G)` some of each query's scores, at least one.

    Returns:
        `(B, 1)`.

    >>> find_bound(torch.tensor([[0.9, 0.2]])), find_bound(torch.tensor([[0.9, 0.2, 0.7, -0.3]]))
    (tensor([[0.0500]]), tensor([[0.3000]]))
    """
    top = scores.amax(1, keepdim=True)
    found: Tensor = top + find_cut(scores - top)
    return found - 8 * torch.finfo(scores.dtype).eps * (1 + top.abs())  # for rounding


def find_survivors(scores: Tensor, maxima: Tensor, least: Tensor, start: int) -> Candidates:
    """List the scores of a block that lie above a bound.

    Args:
        scores: `(B, W)`, W a multiple of ``GROUP``.
        maxima: `(B, G)` the largest of each group.
        least: `(B, 1)` what they must lie above.
        start: the place of the block's first stored image.

    >>> scores = torch.full((1, GROUP), -torch.inf)
    >>> scores[0, :2] = torch.tensor([0.7, -0.3])
    >>> find_survivors(scores, torch.tensor([[0.7]]), torch.tensor([[0.3]]), start=2)
    Candidates(rows=tensor([0]), places=tensor([2]), scores=tensor([0.7000]))
    """
    if scores.numel() <= FEW_SCORES:
        chosen = find_true(scores > least)  # (N,)
        rows, places = chosen // scores.shape[1], start + chosen % scores.shape[1]
        return Candidates(rows, places, scores.flatten().index_select(0, chosen))
    near = find_true(maxima > least)  # (n,) groups
    members = scores.view(-1, GROUP).index_select(0, near)  # (n, GROUP)
    rows = near // maxima.shape[1]
    chosen = find_true(members > least.index_select(0, rows))  # (N,)
    of = chosen // GROUP  # which of the groups
    rows = rows.index_select(0, of)
    flat = near.index_select(0, of) * GROUP + chosen % GROUP - rows * scores.shape[1]
    return Candidates(rows, start + flat, members.flatten().index_select(0, chosen))


def weigh_exactly(pairs: Candidates, queries: int) -> Support:
    """Weigh pairs among which are all that have a weight above 0.

    Args:
        pairs: `N` of them.
        queries: B.

    >>> rows, places = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2])
    >>> weigh_exactly(Candidates(rows, places, torch.tensor([0.9, 0.2, 0.7])), 1).weights
    tensor([0.6000, 0.4000])
    """
    ranked = pad(pairs, queries)  # (B, S)
    top = ranked[:, :1]
    threshold = find_threshold(ranked - top)  # a shift changes nothing but the rounding
    rows, places, scores = pairs
    weights = scores - top.squeeze(1).index_select(0, rows)
    weights = weights - threshold.squeeze(1).index_select(0, rows)
    chosen = find_true(weights > 0)
    return Support(*(column.index_select(0, chosen) for column in (rows, places, scores, weights)))


def compare_again(
    pairs: Candidates, queries: Tensor, memory: Tensor, similarity: Similarity
) -> Candidates:
    """Compute scores pair by pair, where those of a block are only nearly right."""
    if similarity.pairs is None:
        return pairs
    size = max(1, NUMBERS_OF_PAIRS // queries.shape[1])
    parts = [
        similarity.pairs(queries[rows], memory[places])
        for rows, places in zip(pairs.rows.split(size), pairs.places.split(size), strict=True)
    ]
    return pairs._replace(scores=torch.cat(parts)) if parts else pairs


def merge(found: Sequence[Candidates], least: Tensor, total: int) -> Candidates:
    """Put the pairs of all blocks in order, without those below what is known by now."""
    rows, places, scores = map(torch.cat, zip(*found, strict=True))
    chosen = find_true(scores > least.squeeze(1).index_select(0, rows))
    chosen = chosen[(rows[chosen] * total + places[chosen]).argsort()]
    return Candidates(rows[chosen], places[chosen], scores[chosen])


def level_pairs(pairs: Candidates, memory: Tensor, keys: Tensor) -> Candidates:
    """Give a query's stored images with equal features the score of the first of them.

    Where they stand in the memory may change the last digit of a product.

    Args:
        pairs: `N` of them.
        memory: `(M, D)`.
        keys: `(M,)` a number for each stored image, see ``Comparison.keys``.
    """
    first = find_equal_rows(memory, pairs.places, keys)
    if first is None:
        return pairs
    names, which = (pairs.rows * len(memory) + first[pairs.places]).unique(return_inverse=True)
    lead = torch.full_like(names, len(which))
    lead.scatter_reduce_(0, which, torch.arange(len(which), device=which.device), "amin")
    return pairs._replace(scores=pairs.scores[lead[which]])


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
