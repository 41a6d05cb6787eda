"""Weights and memory vectors from single pairs of query and stored image, and their gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from whence.memory.similarity import Rule, Similarity


class ReadPairs(torch.autograd.Function):
    """Memory vectors from the weights of the support, which have a gradient here; pair by pair."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        memory: Tensor,
        scale: Tensor | None,
        rows: Tensor,
        places: Tensor,
        scores: Tensor,
        weights: Tensor,
        rule: Rule,
    ) -> tuple[Tensor, Tensor]:
        """Return the weights `(N,)` and the memory vectors `(B, D)`, NaN without pairs."""
        counts = rows.bincount(minlength=len(queries))
        followed = any(ctx.needs_input_grad)
        with torch.set_grad_enabled(followed):  # for torch's own gradient in the weights, later
            leaf = weights.detach().requires_grad_(followed)
            summed = sum_rows(memory.detach(), places, counts, leaf)
        ctx.rule, ctx.inner = rule, (leaf, summed)
        ctx.save_for_backward(queries, memory, scale, rows, places, counts, scores)
        return weights.clone(), summed.detach().masked_fill((counts == 0)[:, None], torch.nan)

    @staticmethod
    def backward(ctx: Any, to_weights: Tensor, to_vectors: Tensor) -> tuple[Tensor | None, ...]:
        """Follow gradients `(N,)` and `(B, D)` to queries `(B, D)` and memory `(M, D)`."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "attend can be differentiated once only; "
                "compute score, weigh and recall for second derivatives."
            )
        queries, memory, scale, rows, places, counts, scores = ctx.saved_tensors
        leaf, summed = ctx.inner
        (through,) = torch.autograd.grad(summed, leaf, to_vectors, retain_graph=True)
        to_scores = centre(rows, counts, through + to_weights)
        if 2 * len(places) > len(memory):  # most of the memory was read
            active, read, pair = None, memory, places
        else:
            active, pair = places.unique(return_inverse=True)  # (U,), (N,)
            read = memory[active]  # (U, D)
        scale = torch.ones_like(scores) if scale is None else scale[places]  # (N,)
        to_queries = to_memory = None
        if ctx.needs_input_grad[0]:
            to_mapped = sum_rows(memory, places, counts, to_scores * scale)
            to_queries = ctx.rule.pull_back(queries, to_mapped)
        if ctx.needs_input_grad[1]:
            order = pair.int().argsort(stable=True)  # half the bytes, half the time
            table = torch.cat([ctx.rule.map_queries(queries), to_vectors])  # (2B, D)
            rows, to_scores, scale, scores, weights = (
                column.index_select(0, order)
                for column in (rows, to_scores, scale, scores, leaf.detach())
            )
            pair = pair.index_select(0, order)
            sources = torch.stack([rows, rows + len(queries)], 1).flatten()  # (2N,)
            factors = torch.stack([to_scores * scale, weights], 1).flatten()
            uses = pair.bincount(minlength=len(read))  # (U,)
            to_memory = sum_rows(table, sources, 2 * uses, factors)  # (U, D)
            shrink = to_scores * ctx.rule.shrink(scores, scale)
            shrink = shrink.new_zeros(len(read)).index_add_(0, pair, shrink)
            to_memory.addcmul_(read, shrink[:, None], value=-1)
            if active is not None:
                to_memory = torch.zeros_like(memory).index_copy_(0, active, to_memory)
        return to_queries, to_memory, None, None, None, None, None, None


def read_without_rule(
    queries: Tensor,
    memory: Tensor,
    rows: Tensor,
    places: Tensor,
    scores: Tensor,
    weights: Tensor,
    similarity: Similarity,
) -> tuple[Tensor, Tensor]:
    """Do the same for a similarity without a rule: its score is differentiated pair by pair.

    Args:
        queries: `(B, D)`.
        memory: `(M, D)`.
        rows: `(N,)` the query of each pair, ascending.
        places: `(N,)` its stored image.
        scores: `(N,)`, without a gradient.
        weights: `(N,)` of sparsemax, without a gradient.
        similarity: that the scores are of.

    Returns:
        The weights `(N,)` and the memory vectors `(B, D)`, NaN without pairs.
    """
    counts = rows.bincount(minlength=len(queries))
    if torch.is_grad_enabled() and (queries.requires_grad or memory.requires_grad):
        followed = similarity(queries[rows][:, None], memory[places][:, None])[:, 0, 0]  # (N,)
        weights = weights + centre(rows, counts, followed - followed.detach())
    vectors = sum_rows(memory, places, counts, weights)
    return weights, vectors.masked_fill((counts == 0)[:, None], torch.nan)


def centre(rows: Tensor, counts: Tensor, values: Tensor) -> Tensor:
    """Take the mean of each row off the values `(N,)` of its pairs."""
    sums = values.new_zeros(len(counts)).index_add_(0, rows, values)
    return values - (sums / counts)[rows]


def sum_rows(table: Tensor, places: Tensor, counts: Tensor, weights: Tensor) -> Tensor:
    """Sum weighted rows of a table `(T, D)`: the first ``counts[0]`` places, and so on; `(B, D)`.

    Args:
        table: `(T, D)`.
        places: `(N,)` int64, rows of the table.
        counts: `(B,)` int64, how many of them belong to each sum; together `N`.
        weights: `(N,)`.
    """
    starts = counts.cumsum(0) - counts
    return embedding_bag(places, table, starts, mode="sum", per_sample_weights=weights)
