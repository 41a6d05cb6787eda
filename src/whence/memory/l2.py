"""Squared Euclidean distances without lost digits: products in float64, few pairs exactly."""

import torch
from torch import Tensor

from whence.memory.similarity import Comparison

LITTLE = 0.5
"""An error that leaves few stored images to compare again: the weights of sparsemax reach over a
difference in similarity of 1."""


def l2(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` negated squared Euclidean distances; at most 0.

    As a difference of squares, in float64 and from the memory's mean, so that float32 results are
    right to their last digits however long the features are. Of float64 features they are right to
    about 1e-15 of the squared distances from that mean.
    """
    centre = memory.detach().double().mean(-2, keepdim=True)
    left, right = queries.double() - centre, memory.double() - centre
    lengths = left.square().sum(-1)[..., None] + right.square().sum(-1)[..., None, :]
    return (2 * left @ right.mT - lengths).clamp_max(0).to(queries.dtype)  # (..., B, M)


def l2_of_pairs(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute negated squared distances of pairs, `(N, D)` and `(N, D)` to `(N,)`; at most 0."""
    differences = queries.double() - memory.double()
    return differences.square().sum(1).neg().to(queries.dtype)


def compare_by_l2(queries: Tensor, memory: Tensor, scale: Tensor | None) -> Comparison:
    """Prepare to write negated squared distances of `(B, D)` and `(M, D)` stretch by stretch.

    They are differences of squares: nearly right. Their error is bounded by what sums of D products
    lose to rounding (Higham 2002, Accuracy and Stability of Numerical Algorithms, equation 3.5).
    In the features' own precision where that is little, else in float64.
    """
    stored = torch.linalg.vector_norm(memory, dim=1)  # (M,)
    longest = stored.max().double()
    lengths = torch.linalg.vector_norm(queries, dim=1, keepdim=True).double()
    sums = 2 * (queries.shape[1] + 8) * (lengths.square() + longest.square())  # (B, 1)
    kind = queries.dtype
    if not float(sums.max()) * torch.finfo(kind).eps <= LITTLE:  # so that NaN is not little
        kind = torch.float64
    left = queries.to(kind)
    own = torch.linalg.vector_norm(left, dim=1, keepdim=True).square()

    def write(start: int, scores: Tensor) -> None:
        right = memory[start : start + scores.shape[1]].to(kind)
        product = torch.mm(left, right.mT, out=scores if kind == scores.dtype else None)
        product.mul_(2).sub_(own).sub_(torch.linalg.vector_norm(right, dim=1).square())
        if product is not scores:
            scores.copy_(product)

    return Comparison(write, (torch.finfo(kind).eps * sums).to(queries.dtype), stored)
