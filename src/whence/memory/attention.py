"""Sparse content attention: from features to scores, weights and the memory vector.

La Rosa et al. (2021), arXiv:2106.01440, equations 2 and 3. Everything here is float32 (or float64)
whatever autocast says: half precision changes which memory images get a weight.
"""

import torch
from torch import Tensor

from whence.memory.equal_rows import find_equal_rows, have_repeats, tell_apart
from whence.memory.similarity import find_similarity
from whence.memory.sparsemax import sparsemax
from whence.shapes import check_shape


def score(
    queries: Tensor, memory: Tensor, *, similarity: str = "cosine", scale: Tensor | None = None
) -> Tensor:
    """Compare every query with every memory image.

    Args:
        queries: `(B, D)` features of the images to classify.
        memory: `(M, D)` features of the stored images.
        similarity: a name from ``SIMILARITIES``.
        scale: `(M,)` of the memory, from ``Similarity.scale``, if it was computed before.

    Returns:
        `(B, M)` similarities, float32 or float64. Where no gradient is followed, stored images with
        equal features have equal ones, to the last digit.

    Raises:
        ValueError: on shapes that do not fit, an empty memory or an unknown similarity.
    """
    check_pair(queries, memory)
    known = find_similarity(similarity)
    with torch.autocast(queries.device.type, enabled=False):
        queries, memory = at_least_float32(queries), at_least_float32(memory)
        followed = torch.is_grad_enabled() and (queries.requires_grad or memory.requires_grad)
        if followed or known.scale is None:
            scores = known(queries, memory)  # a scale from before would be a constant
        else:
            scale = known.scale(memory) if scale is None else scale
            scores = known.score(queries, memory, scale=scale)
        if followed or torch._C._are_functorch_transforms_active():
            return scores
        if torch.compiler.is_exporting():  # a graph has no numbers to compare
            return scores
        return level(scores, memory, scale)


def level(scores: Tensor, memory: Tensor, scale: Tensor | None) -> Tensor:
    """Give stored images with equal features the scores `(B, M)` of the first of them.

    Where they stand in the memory may change the last digit of a product.
    """
    keys = tell_apart(memory) if scale is None else scale
    if not have_repeats(keys):
        return scores
    first = find_equal_rows(memory, torch.arange(len(memory), device=memory.device), keys)
    return scores if first is None else scores[:, first]


def check_pair(queries: Tensor, memory: Tensor) -> None:
    """Refuse queries and a memory that cannot be compared."""
    sizes = check_shape("queries", queries, "B D")
    check_shape("memory", memory, "M D", D=sizes["D"])
    for name, features in (("queries", queries), ("memory", memory)):
        if not features.is_floating_point():
            raise TypeError(f"{name} must be floats, got {features.dtype}.")
    if len(memory) == 0:
        raise ValueError("memory must hold at least one image, got none.")


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
