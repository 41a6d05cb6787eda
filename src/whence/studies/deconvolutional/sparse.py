"""Convolutional sparse coding: maps that, convolved with filters, add up to an image."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LinearOperator = Callable[[Tensor], Tensor]


class Continuation(NamedTuple):
    """How maps are found: the weight that ties them to their sparse copies, from loose to tight.

    Attributes:
        first: the weight at the start (beta 0).
        factor: by which it grows.
        rounds: how often.
        iterations: of conjugate gradients in each round.
        power: p of the penalty |z|^p, above 0 and at most 1.
    """

    first: float = 1.0
    factor: float = 3.0
    rounds: int = 6
    iterations: int = 3
    power: float = 1.0


CONTINUATION = Continuation()


def synthesise(maps: Tensor, filters: Tensor) -> Tensor:
    """Add up convolutions of maps with filters (Zeiler et al. 2010, equation 1).

    Args:
        maps: `(N, K, H + h - 1, W + h - 1)`.
        filters: `(K, C, h, h)`.

    Returns:
        `(N, C, H, W)`.
    """
    return F.conv2d(maps, filters.transpose(0, 1).flip(2, 3))


def project_up(images: Tensor, filters: Tensor) -> Tensor:
    """Apply the transpose of ``synthesise``: images `(N, C, H, W)` to maps `(N, K, ...)`."""
    return F.conv_transpose2d(images, filters.transpose(0, 1).flip(2, 3))


def solve_conjugate(apply: LinearOperator, right: Tensor, start: Tensor, iterations: int) -> Tensor:
    """Solve a symmetric positive system for each row by conjugate gradients.

    Hestenes and Stiefel (1952). Rows do not depend on each other.

    Args:
        apply: the linear operator on `(N, ...)`.
        right: the right side.
        start: where to start.
        iterations: at most; a row that is solved stays.
    """
    found = start
    rest = right - apply(found)
    step, size = rest, dot_rows(rest, rest)
    for _ in range(iterations):
        along = apply(step)
        length = size / dot_rows(step, along).clamp_min(1e-30)
        found = found + spread_rows(length, step) * step
        rest = rest - spread_rows(length, rest) * along
        new = dot_rows(rest, rest)
        step = rest + spread_rows(new / size.clamp_min(1e-30), step) * step
        size = new
    return found


def dot_rows(one: Tensor, other: Tensor) -> Tensor:
    """Multiply rows of `(N, ...)` with each other; `(N,)`."""
    return (one * other).flatten(1).sum(1)


def spread_rows(numbers: Tensor, like: Tensor) -> Tensor:
    """Bring `(N,)` to as many axes as a tensor has."""
    return numbers.view(-1, *[1] * (like.ndim - 1))


def shrink_linearly(values: Tensor, threshold: float) -> Tensor:
    """Move values towards 0 by a threshold: the closed form for p = 1.

    >>> shrink_linearly(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
    tensor([-2.,  0.,  1.])
    """
    return values.sign() * (values.abs() - threshold).clamp_min(0)


def shrink_by_table(values: Tensor, weight: float, power: float) -> Tensor:
    """Minimise |x|^p + weight / 2 (x - v)^2 for each value v, by a table of solutions.

    Krishnan and Fergus (2009), as Zeiler et al. (2010) take it: the solution depends on |v| alone,
    so it is found once for many and interpolated.

    Args:
        values: v, any shape.
        weight: beta.
        power: p, above 0; at most 1.
    """
    largest = float(values.abs().max())
    if largest == 0:
        return values
    asked = torch.linspace(0, largest, TABLE_SIZE)
    table = solve_penalty(asked, weight, power)
    place = values.abs() / largest * (TABLE_SIZE - 1)
    low = place.floor().long().clamp(max=TABLE_SIZE - 2)
    below, above = table[low], table[low + 1]
    part = place - low
    between = below + part * (above - below)
    jumps = (below == 0) & (above > 0)  # nothing lies between 0 and the least other solution
    return values.sign() * torch.where(jumps, torch.where(part < 0.5, below, above), between)


TABLE_SIZE = 2048
"""Entries of the table of solutions."""


def solve_penalty(values: Tensor, weight: float, power: float) -> Tensor:
    """Minimise |x|^p + weight / 2 (x - v)^2 for values v of at least 0, by Newton's method.

    The solution is 0, or the larger point where the slope is 0; the cheaper of the two is taken.
    """
    found = values.clone()
    for _ in range(30):
        safe = found.clamp_min(1e-12)
        slope = power * safe ** (power - 1) + weight * (safe - values)
        curve = power * (power - 1) * safe ** (power - 2) + weight
        step = torch.where(curve > 0, slope / curve.clamp_min(1e-12), torch.zeros_like(slope))
        found = torch.minimum((safe - step).clamp_min(1e-12), values)
    cost = found.clamp_min(0) ** power + weight / 2 * (found - values) ** 2
    return torch.where(cost < weight / 2 * values**2, found, torch.zeros_like(found))


def find_sparse(values: Tensor, weight: float, power: float) -> Tensor:
    """Solve the x sub-problem: in closed form for p = 1, else by the table."""
    if power == 1:
        return shrink_linearly(values, 1 / weight)
    return shrink_by_table(values, weight, power)


def infer_maps(
    down: LinearOperator,
    up: LinearOperator,
    target: Tensor,
    start: Tensor,
    fidelity: float,
    plan: Continuation = CONTINUATION,
) -> Tensor:
    """Find sparse maps z of fidelity / 2 |down z - target|^2 + |z|^p.

    Zeiler et al. (2010), equations 5 to 8 and the inner loop of algorithm 1: copies x of the maps
    carry the penalty, and are tied to them ever more tightly.

    Args:
        down: the linear operator from maps to what they reconstruct.
        up: its transpose.
        target: what is reconstructed, `(N, ...)`.
        start: maps to start from.
        fidelity: lambda.
        plan: of the continuation.

    Returns:
        The sparse copies x, of the shape of ``start``.
    """
    maps, seen = start, fidelity * up(target)
    weight = plan.first
    for _ in range(plan.rounds):
        copies = find_sparse(maps, weight, plan.power)

        def apply(values: Tensor, weight: float = weight) -> Tensor:
            return fidelity * up(down(values)) + weight * values

        maps = solve_conjugate(apply, seen + weight * copies, maps, plan.iterations)
        weight *= plan.factor
    return find_sparse(maps, weight, plan.power)


def measure_cost(
    maps: Tensor, rebuilt: Tensor, target: Tensor, fidelity: float, power: float
) -> float:
    """Compute the cost that ``infer_maps`` lowers, summed over the images."""
    return float(fidelity / 2 * (rebuilt - target).square().sum() + maps.abs().pow(power).sum())
