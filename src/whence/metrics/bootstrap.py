"""How far a mean over images may be off, by drawing the images again."""

from typing import NamedTuple

import torch
from torch import Tensor

BOOTSTRAPS = 2000
"""Sets of images that are drawn."""

NUMBERS_AT_ONCE = 2**22
"""Numbers of such sets that are held at once, whatever the number of images."""


class MeanInterval(NamedTuple):
    """A mean, and the 95 % interval of what it would be with other images of the same kind."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: Tensor, generator: torch.Generator) -> MeanInterval:
    """Average numbers `(n,)`, at least one, with a percentile interval.

    Efron (1979), "Bootstrap methods: another look at the jackknife".

    Args:
        values: one number per image, finite.
        generator: of the drawn images, with replacement.

    >>> bootstrap_mean(torch.tensor([0.25, 0.25]), torch.Generator())
    MeanInterval(mean=0.25, low=0.25, high=0.25)
    """
    known = values.double()
    sets = torch.arange(BOOTSTRAPS).split(max(1, NUMBERS_AT_ONCE // len(known)))
    means = [
        known[torch.randint(len(known), (len(some), len(known)), generator=generator)].mean(1)
        for some in sets
    ]
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.cat(means).quantile(ends).tolist()
    return MeanInterval(float(known.mean()), low, high)
