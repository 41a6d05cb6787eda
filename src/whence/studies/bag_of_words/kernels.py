"""Kernels of support vector machines over bags of words, and how decisions divide over words."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from whence.studies.bag_of_words.tiles import Floats
from whence.studies.parts.intersect import intersect

PairValues = Callable[[Floats, Floats, float], Floats]


class Kernel(NamedTuple):
    """A kernel of bags `(n, V)` and `(m, V)` with a width.

    Attributes:
        value: `(n, m)`.
        parts: `(n, V)` of the kernel of n bags and one, `(V,)`, which add up to it; None where it
            does not divide over words.
        slope: `(n, V)` derivative by the one bag.
    """

    value: PairValues
    parts: PairValues | None
    slope: PairValues | None


def chi_squared(bags: Floats, others: Floats, width: float) -> Floats:
    """Compute exp(-width sum (x - y)^2 / (x + y))."""
    columns = []
    for other in others:
        both = bags + other
        square = (bags - other) ** 2
        away = np.divide(square, both, out=np.zeros_like(both), where=both > 0)
        columns.append(np.exp(-width * away.sum(1)))
    return np.stack(columns, axis=1)


def chi_squared_slope(bags: Floats, other: Floats, width: float) -> Floats:
    """Differentiate by the other bag: k width (4 x^2 / (x + y)^2 - 1); 0 where both are 0."""
    both = bags + other
    share = np.divide(2 * bags, both, out=np.ones_like(both), where=both > 0)
    found: Floats = chi_squared(bags, other[None], width) * width * (share**2 - 1)
    return found


def gaussian_pairs(bags: Floats, others: Floats, width: float) -> Floats:
    """Compute exp(-width |x - y|^2)."""
    squares = (bags**2).sum(1)[:, None] + (others**2).sum(1) - 2 * bags @ others.T
    found: Floats = np.exp(-width * np.maximum(squares, 0))
    return found


def gaussian_slope(bags: Floats, other: Floats, width: float) -> Floats:
    """Differentiate by the other bag: k 2 width (x - y)."""
    found: Floats = gaussian_pairs(bags, other[None], width) * 2 * width * (bags - other)
    return found


BAG_KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {
        "histogram intersection": Kernel(intersect, lambda x, y, _: np.minimum(x, y), None),
        "linear": Kernel(lambda x, y, _: x @ y.T, lambda x, y, _: x * y, None),
        "chi-squared": Kernel(chi_squared, None, chi_squared_slope),
        "Gaussian": Kernel(gaussian_pairs, None, gaussian_slope),
    }
)
"""Bach et al. (2015), equations 46 to 52; Fisher vectors take the linear one."""
