"""Mean and deviation of numbers, as they are shown everywhere."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    """Mean and population deviation of some numbers."""

    mean: float
    std: float


def find_spread(values: Iterable[float | None]) -> Spread | None:
    """Compute mean and deviation of the numbers that there are; None without any.

    >>> find_spread([0.25, None, 0.75])
    Spread(mean=0.5, std=0.25)
    """
    known = [value for value in values if value is not None]
    return Spread(statistics.fmean(known), statistics.pstdev(known)) if known else None
