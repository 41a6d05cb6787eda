"""Memory vectors from all weights of a small memory, with a gradient in few passes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whence.memory.attention import at_least_float32, check_pair, recall, weigh
from whence.memory.cosine import cosine, unit_scale
from whence.memory.sparsemax import centre_on_support


def read_dense(queries: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute the memory vectors `(B, D)` by cosine similarity, holding all weights.

    The same numbers and gradients, first and second, as ``score``, ``weigh`` and ``recall`` one
    after the other.

    Args:
        queries: `(B, D)`.
        memory: `(M, D)`.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.

    Raises:
        ValueError: on shapes that do not fit, an empty memory, or a row of the mask that allows
            nothing.
    """
    check_pair(queries, memory)
    with torch.autocast(queries.device.type, enabled=False):
        queries, memory = at_least_float32(queries), at_least_float32(memory)
        with torch.no_grad():
            lengths = unit_scale(queries), unit_scale(memory)  # (B,), (M,)
        if not (bool(lengths[0].all()) and bool(lengths[1].all())):  # too long to be squared
            return recall(weigh(cosine(queries, memory), mask=mask), memory)
        vectors: Tensor = ReadDense.apply(queries, memory, *lengths, mask)
    return vectors


class ReadDense(torch.autograd.Function):
    """What ``read_dense`` computes; lengths are differentiated on the scores, not on features."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        memory: Tensor,
        query_scale: Tensor,
        memory_scale: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Return the memory vectors `(B, D)` of queries `(B, D)` and memory `(M, D)`."""
        scores = torch.mm(queries, memory.mT).mul_(query_scale[:, None] * memory_scale)
        weights = weigh(scores, mask=mask)
        ctx.save_for_backward(queries, memory, query_scale, memory_scale, scores, weights, mask)
        return weights @ memory

    @staticmethod
    def backward(ctx: Any, to_vectors: Tensor) -> tuple[Tensor | None, ...]:
        """Follow a gradient `(B, D)` to queries and memory.

        With ``s = a b (q . m)`` and ``a`` what brings q to unit length,
        ``ds / dq = a b m - s a² q``.
        """
        with torch.autocast(to_vectors.device.type, enabled=False):
            differentiate = differentiate_slowly if torch.is_grad_enabled() else differentiate_once
            found = differentiate(to_vectors, ctx.needs_input_grad, *ctx.saved_tensors)
        return *found, None, None, None


def differentiate_once(
    to_vectors: Tensor,
    wanted: Sequence[bool],
    queries: Tensor,
    memory: Tensor,
    query_scale: Tensor,
    memory_scale: Tensor,
    scores: Tensor,
    weights: Tensor,
    _mask: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """Follow a gradient to the sides that are wanted, from what the forward pass found."""
    to_scores = centre_on_support(to_vectors @ memory.mT, weights)  # (B, M)
    shrink = to_scores * scores
    to_products = to_scores.mul_(query_scale[:, None]).mul_(memory_scale)
    to_queries = to_memory = None
    if wanted[0]:
        along = query_scale.square() * shrink.sum(1)  # (B,)
        to_queries = torch.mm(to_products, memory).addcmul_(queries, along[:, None], value=-1)
    if wanted[1]:
        along = memory_scale.square() * shrink.sum(0)  # (M,)
        to_memory = torch.mm(weights.mT, to_vectors).addmm_(to_products.mT, queries)
        to_memory.addcmul_(memory, along[:, None], value=-1)
    return to_queries, to_memory


def differentiate_slowly(
    to_vectors: Tensor,
    wanted: Sequence[bool],
    queries: Tensor,
    memory: Tensor,
    *kept: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """Do the same, operation by operation, for those who will differentiate it again."""
    vectors = recall(weigh(cosine(queries, memory), mask=kept[-1]), memory)
    sides = [side for side in (queries, memory) if side.requires_grad]
    found = iter(torch.autograd.grad(vectors, sides, to_vectors, create_graph=True))
    return next(found) if wanted[0] else None, next(found) if wanted[1] else None
