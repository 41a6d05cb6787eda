"""Sparse content attention: from features to scores, weights and the memory vector.

La Rosa et al. (2021), arXiv:2106.01440, equations 2 and 3. Everything here is float32 (or float64)
whatever autocast says: half precision changes which memory images get a weight.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from whence.memory.sparsemax import sparsemax
from whence.shapes import check_shape

EPSILON = 1e-6
"""Added to a squared length before the root, as the published layer does."""


def cosine(queries: Tensor, memory: Tensor, *, scale: Tensor | None = None) -> Tensor:
    """Compute `(..., B, M)` cosines, with lengths ``sqrt(sum v² + 1e-6)``; in [-1, 1].

    The products are scaled, not the features, which are many more numbers. The memory's scale is
    ``unit_scale`` of it, unless that was computed before.
    """
    scale = unit_scale(memory) if scale is None else scale
    return queries @ memory.mT * (unit_scale(queries).unsqueeze(-1) * scale.unsqueeze(-2))


def l2(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` negated squared Euclidean distances; at most 0.

    Both sides are moved by the memory's mean first, which changes no distance and keeps the
    difference of squares from losing digits.
    """
    centre = memory.detach().mean(-2, keepdim=True)
    queries, memory = queries - centre, memory - centre
    lengths = queries.square().sum(-1)[..., None] + memory.square().sum(-1)[..., None, :]
    return 2 * queries @ memory.mT - lengths  # (..., B, M)


def dot(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` dot products."""
    return queries @ memory.mT


def to_unit_length(features: Tensor) -> Tensor:
    """Divide each row of `(..., D)` by its length."""
    return features * unit_scale(features).unsqueeze(-1)


def unit_scale(features: Tensor) -> Tensor:
    """Compute what brings each row of `(..., D)` to unit length, `(...)`, in one pass."""
    lengths: Tensor = torch.linalg.vector_norm(features, dim=-1)
    return (lengths.square() + EPSILON).rsqrt()


SIMILARITIES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {function.__name__: function for function in (cosine, l2, dot)}
)
"""Every similarity by name; a larger score means more alike. Leading axes are batch axes."""


def score(
    queries: Tensor, memory: Tensor, *, similarity: str = "cosine", scale: Tensor | None = None
) -> Tensor:
    """Compare every query with every memory image.

    Args:
        queries: `(B, D)` features of the images to classify.
        memory: `(M, D)` features of the stored images.
        similarity: a name from ``SIMILARITIES``.
        scale: `(M,)` ``unit_scale`` of the memory, if it was computed before; used by "cosine".

    Returns:
        `(B, M)` similarities, float32 or float64.

    Raises:
        ValueError: on shapes that do not fit, an empty memory or an unknown similarity.
    """
    check_pair(queries, memory, similarity)
    with torch.autocast(queries.device.type, enabled=False):
        queries, memory = at_least_float32(queries), at_least_float32(memory)
        if similarity == "cosine":  # a scale from before would be a constant to the gradient
            return cosine(queries, memory, scale=None if memory.requires_grad else scale)
        return SIMILARITIES[similarity](queries, memory)


def check_pair(queries: Tensor, memory: Tensor, similarity: str) -> None:
    """Refuse queries and a memory that cannot be compared."""
    sizes = check_shape("queries", queries, "B D")
    check_shape("memory", memory, "M D", D=sizes["D"])
    if len(memory) == 0:
        raise ValueError("memory must hold at least one image, got none.")
    check_similarity(similarity)


def check_similarity(name: str) -> None:
    """Refuse a name that is not in ``SIMILARITIES``."""
    if name not in SIMILARITIES:
        raise ValueError(f"Unknown similarity {name!r}. Choose from: {', '.join(SIMILARITIES)}.")


def weigh(scores: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Turn similarities into sparse weights, leaving out what the mask forbids.

    Args:
        scores: `(B, M)` similarities.
        mask: `(B, M)` bool, True where a memory image may be used; None allows all.

    Returns:
        `(B, M)` weights in [0, 1], rows sum to one, zero means that the image took no part.

    Raises:
        ValueError: if a row of the mask allows nothing.
    """
    if mask is None:
        return sparsemax(scores)
    check_mask(mask, *scores.shape)
    return sparsemax(scores.masked_fill(~mask, -torch.inf))


def check_mask(mask: Tensor, queries: int, stored: int) -> None:
    """Refuse a mask of another shape or type, or one that leaves a query nothing to read."""
    check_shape("mask", mask, "B M", B=queries, M=stored)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool, True where an image may be used, got {mask.dtype}.")
    if not bool(mask.any(-1).all()):
        raise ValueError("mask must leave every query at least one memory image, a row is empty.")


def recall(weights: Tensor, memory: Tensor) -> Tensor:
    """Sum the memory's features by weight, `(B, M)` and `(M, D)` to `(B, D)` (equation 3)."""
    with torch.autocast(weights.device.type, enabled=False):
        return weights @ memory.to(weights.dtype)


def at_least_float32(features: Tensor) -> Tensor:
    """Lift half precision to float32 and leave the rest as it is."""
    half = features.dtype in (torch.float16, torch.bfloat16)
    return features.float() if half else features
