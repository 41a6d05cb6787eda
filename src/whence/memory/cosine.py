"""Cosine similarity: lengths once a side, and products that are scaled instead of features."""

import torch
from torch import Tensor

from whence.memory.similarity import Comparison

EPSILON = 1e-6
"""Added to a squared length before the root, as the published layer does."""


LONG = 20
"""Rows with a number of 2**20 or more are shortened; 1e-6 is nothing beside their squares."""


def cosine(queries: Tensor, memory: Tensor, *, scale: Tensor | None = None) -> Tensor:
    """Compute `(..., B, M)` cosines, with lengths ``sqrt(sum v² + 1e-6)``; in [-1, 1].

    The products are scaled, not the features, which are many more numbers. The memory's scale is
    ``unit_scale`` of it, unless that was computed before. Features whose squared length overflows
    are shortened first.
    """
    own, scale = unit_scale(queries), unit_scale(memory) if scale is None else scale
    if not torch.compiler.is_exporting():  # a graph cannot look at numbers; rows so long are rare
        blind = torch._C._are_functorch_transforms_active()  # nor can these
        if blind or not (bool(own.all()) and bool(scale.all())):
            queries, memory = shorten(queries), shorten(memory)
            own, scale = unit_scale(queries), unit_scale(memory)
    return queries @ memory.mT * (own.unsqueeze(-1) * scale.unsqueeze(-2))


def to_unit_length(features: Tensor) -> Tensor:
    """Divide each row of `(..., D)` by its length."""
    return features * unit_scale(features).unsqueeze(-1)


def unit_scale(features: Tensor) -> Tensor:
    """Compute what brings each row of `(..., D)` to unit length, `(...)`, in one pass.

    0 where the squared length overflows, from 1.8e19 on in float32; ``shorten`` is for those.
    """
    lengths: Tensor = torch.linalg.vector_norm(features, dim=-1)
    return (lengths.square() + EPSILON).rsqrt()


def shorten(features: Tensor) -> Tensor:
    """Divide long rows of `(..., D)` by a power of two, which is exact and changes no cosine."""
    exponents = torch.frexp(features.detach().abs().amax(-1, keepdim=True)).exponent
    return features * 2.0 ** (LONG - exponents).clamp_max(0).to(features.dtype)


def pull_back_to_length(queries: Tensor, gradient: Tensor) -> Tensor:
    """Follow a gradient `(B, D)` in ``to_unit_length(queries)`` back to the queries."""
    scale = unit_scale(queries)[:, None]
    unit = queries * scale
    along = (unit * gradient).sum(1, keepdim=True)
    return scale * torch.addcmul(gradient, unit, along, value=-1)


def compare_by_cosine(queries: Tensor, memory: Tensor, scale: Tensor | None) -> Comparison:
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

    rounding = queries.shape[1] * torch.finfo(queries.dtype).eps
    return Comparison(write, rounding, scale)
