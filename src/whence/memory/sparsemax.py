"""Sparsemax: the Euclidean projection of scores onto the probability simplex."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from whence.kinds import check_kind

FIRST_LOOK = 128
"""How many of the largest scores are looked at first; the support is rarely larger."""

SORTED_WHOLE = 1024
"""Up to so many scores a row, sorting all of them costs less than looking for the largest."""


def sparsemax(scores: Tensor, dim: int = -1) -> Tensor:
    """Turn scores into weights that sum to one, most of them exactly zero.

    Martins and Astudillo (2016), arXiv:1602.02068, algorithm 1 and, for the gradient, equation 9.
    Works under ``torch.func`` transforms and can be differentiated twice.

    Args:
        scores: `(..., M, ...)` real numbers, M along ``dim``. Half precision is computed, and
            returned, in float32, whatever autocast says. A score of minus infinity takes no part.
        dim: the axis that will sum to one; negative axes count from the end.

    Returns:
        Weights in [0, 1], same shape as ``scores``; rows that hold NaN are NaN.

    Raises:
        TypeError: if ``scores`` are not floating point.
        ValueError: if there is nothing along ``dim``.

    >>> sparsemax(torch.tensor([1.0, 0.5, -3.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    check_kind("scores", scores, (Tensor,))
    check_kind("dim", dim, (int,))
    if not scores.is_floating_point():
        raise TypeError(f"scores must be floating point, got {scores.dtype}.")
    if not -scores.ndim <= dim < scores.ndim or scores.shape[dim] == 0:
        raise ValueError(f"scores must have an entry along dim {dim}, got {tuple(scores.shape)}.")
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()
    with torch.autocast(scores.device.type, enabled=False):
        weights: Tensor = _Sparsemax.apply(scores.movedim(dim, -1))
    return weights.movedim(-1, dim)


class _Sparsemax(torch.autograd.Function):
    """Sparsemax over the last axis; its Jacobian is symmetric, so jvp and backward agree."""

    @staticmethod
    def forward(scores: Tensor) -> Tensor:
        return project(scores)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return centre_on_support(gradient, ctx.saved_tensors[0])

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return centre_on_support(tangent, ctx.saved_tensors[0])

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int], scores: Tensor) -> tuple[Tensor, int]:
        weights: Tensor = _Sparsemax.apply(scores.movedim(in_dims[0], 0))
        return weights, 0


def project(scores: Tensor) -> Tensor:
    """Project each row of `(..., M)` onto the simplex, without a gradient of its own."""
    scores = scores - scores.amax(-1, keepdim=True)  # a shift changes nothing but the rounding
    return (scores - threshold(scores)).clamp_min(0)


def threshold(scores: Tensor) -> Tensor:
    """Find the number that, taken off every score, leaves positive parts that sum to one.

    Only the largest scores are looked at, and of long rows only they are sorted: if the smallest of
    them already lies outside the support, the answer is the same as from all of them; otherwise
    four times as many are looked at.

    Args:
        scores: `(..., M)`, the largest of each row 0.

    Returns:
        `(..., 1)` thresholds in [-1, 0).
    """
    total = scores.shape[-1]
    if torch.compiler.is_exporting():  # a graph cannot look whether that was enough
        return find_threshold(scores.sort(-1, descending=True).values)
    whole = sort_descending(scores) if total <= SORTED_WHOLE else None
    looked_at = min(total, FIRST_LOOK)
    while True:  # ranked is (..., looked_at)
        ranked = find_largest(scores, looked_at) if whole is None else whole[..., :looked_at]
        found = find_threshold(ranked)
        if looked_at == total or not bool((ranked[..., -1:] > found).any()):
            return found
        looked_at = min(total, 4 * looked_at)


def find_largest(scores: Tensor, count: int) -> Tensor:
    """Return the largest of `(..., M)` scores, at most ``count`` of them, in descending order."""
    if scores.shape[-1] <= SORTED_WHOLE:
        return sort_descending(scores)[..., :count]
    return scores.topk(count, dim=-1).values


def sort_descending(scores: Tensor) -> Tensor:
    """Sort `(..., M)` scores, the largest first; on a CPU by numpy, 10 times faster than torch."""
    if scores.device.type != "cpu":
        return scores.sort(-1, descending=True).values
    return torch.from_numpy(np.sort(scores.detach().numpy(), axis=-1)).flip(-1)


def find_threshold(ranked: Tensor) -> Tensor:
    """Find the threshold of sparsemax from `(..., M)` scores in descending order, the first 0.

    Martins and Astudillo (2016), arXiv:1602.02068, algorithm 1.

    Returns:
        `(..., 1)` thresholds in [-1, 0).

    >>> find_threshold(torch.tensor([0.0, -0.5, -4.0]))
    tensor([-0.7500])
    """
    rank = torch.arange(1, ranked.shape[-1] + 1, dtype=ranked.dtype, device=ranked.device)
    excess = ranked.cumsum(-1) - 1
    support = (rank * ranked > excess).sum(-1, keepdim=True).clamp_min(1)  # (..., 1)
    return excess.gather(-1, support - 1) / support


def centre_on_support(direction: Tensor, weights: Tensor) -> Tensor:
    """Multiply by the Jacobian of sparsemax: subtract the mean over the support, zero elsewhere.

    Args:
        direction: `(..., M)` a gradient or a tangent.
        weights: `(..., M)` sparsemax at the point.
    """
    support = (weights > 0).to(direction.dtype)
    mean = (direction * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
    return (direction - mean) * support
