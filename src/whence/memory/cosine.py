"""Cosine similarity: lengths once a side, and products that are scaled instead of features."""

from collections.abc import Callable

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to a squared length before the root, as the published layer does."""


def cosine(queries: Tensor, memory: Tensor, *, scale: Tensor | None = None) -> Tensor:
    """Compute `(..., B, M)` cosines, with lengths ``sqrt(sum v² + 1e-6)``; in [-1, 1].

    The products are scaled, not the features, which are many more numbers. The memory's scale is
    ``unit_scale`` of it, unless that was computed before.
    """
    scale = unit_scale(memory) if scale is None else scale
    return queries @ memory.mT * (unit_scale(queries).unsqueeze(-1) * scale.unsqueeze(-2))


def to_unit_length(features: Tensor) -> Tensor:
    """Divide each row of `(..., D)` by its length."""
    return features * unit_scale(features).unsqueeze(-1)


def unit_scale(features: Tensor) -> Tensor:
    """Compute what brings each row of `(..., D)` to unit length, `(...)`, in one pass."""
    lengths: Tensor = torch.linalg.vector_norm(features, dim=-1)
    return (lengths.square() + EPSILON).rsqrt()


def pull_back_to_length(queries: Tensor, gradient: Tensor) -> Tensor:
    """Follow a gradient `(B, D)` in ``to_unit_length(queries)`` back to the queries."""
    scale = unit_scale(queries)[:, None]
    unit = queries * scale
    along = (unit * gradient).sum(1, keepdim=True)
    return scale * torch.addcmul(gradient, unit, along, value=-1)


def compare_cosine(
    queries: Tensor, memory: Tensor, scale: Tensor | None
) -> Callable[[int, Tensor], object]:
    """Prepare to write cosines of `(B, D)` queries and `(M, D)` memory stretch by stretch.

    Args:
        queries: `(B, D)`.
        memory: `(M, D)`.
        scale: `(M,)` ``unit_scale`` of the memory, if it was computed before.
    """
    queries, scale = to_unit_length(queries), unit_scale(memory) if scale is None else scale

    def write(start: int, scores: Tensor) -> None:
        stretch = slice(start, start + scores.shape[1])
        torch.mm(queries, memory[stretch].mT, out=scores)
        scores *= scale[stretch]

    return write
