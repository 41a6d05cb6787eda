"""Theorem 1: a network of 2n + d weights with one hidden layer that fits any n numbers."""

from typing import NamedTuple

import torch
from torch import Tensor

DIRECTION_DRAWS = 50
"""Random directions of which the one that keeps the points farthest apart is taken."""


class ExactNetwork(NamedTuple):
    """``sum_j weights_j max(direction . x - biases_j, 0)``: n + n + d numbers, double precision."""

    direction: Tensor  # (d,)
    biases: Tensor  # (n,)
    weights: Tensor  # (n,)

    def __call__(self, points: Tensor) -> Tensor:
        """Answer points `(B, d)` by numbers `(B,)`."""
        hidden = (points.double() @ self.direction)[:, None] - self.biases  # (B, n)
        return hidden.clamp_min(0) @ self.weights

    @property
    def parameters(self) -> int:
        """Count the weights."""
        return self.direction.numel() + self.biases.numel() + self.weights.numel()


def build_exact_network(
    points: Tensor, values: Tensor, *, generator: torch.Generator
) -> ExactNetwork:
    """Build a network that answers each point by its number, whatever that is.

    Zhang et al. (2017), theorem 1 and lemma 1, appendix C: along a direction in which all points
    differ, a unit begins between each two neighbours, so that the matrix of hidden units is lower
    triangular, and is solved for the weights. Here a unit begins at the neighbour itself (the
    first half a mean gap before the first point), which makes the diagonal as large as it can be.

    Args:
        points: `(n, d)`, no two the same.
        values: `(n,)` finite numbers.
        generator: on the CPU, of the directions.

    Raises:
        ValueError: if two points are the same, or so near that no direction tells them apart.
    """
    exact = points.double()
    if len(exact.unique(dim=0)) < len(exact):
        raise ValueError(
            f"points must differ, {len(exact) - len(exact.unique(dim=0))} of {len(exact)} are "
            "copies; leave them out."
        )
    drawn = torch.randn(DIRECTION_DRAWS, exact.shape[1], generator=generator, dtype=torch.float64)
    heights = exact @ drawn.T  # (n, DIRECTION_DRAWS)
    gaps = heights.sort(0).values.diff(dim=0)
    best = int((gaps.amin(0) / gaps.sum(0)).argmax()) if len(exact) > 1 else 0
    height, order = heights[:, best].sort()
    apart = height.diff()
    if len(exact) > 1 and float(apart.min()) <= 1e-12 * float(height.abs().max()):
        raise ValueError("points must differ in some direction by more than rounding, they do not.")
    margin = 0.5 * float(apart.mean()) if len(exact) > 1 else 1.0
    biases = torch.cat([height[:1] - margin, height[:-1]])  # (n,)
    hidden = (height[:, None] - biases).clamp_min(0)  # (n, n) lower triangular
    weights = torch.linalg.solve_triangular(hidden, values.double()[order, None], upper=False)
    return ExactNetwork(drawn[best], biases, weights[:, 0])
