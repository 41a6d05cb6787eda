"""Regressions that are repeated with other draws, and by how much they differ."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.messages import format_number


class Repeated(NamedTuple):
    """Numbers of regions from several repeats."""

    mean: Tensor  # (B, R)
    differences: Tensor  # (B, R) their standard deviation over the repeats


def summarise_repeats(values: list[Tensor]) -> Repeated:
    """Take mean and deviation of `(B, R)` numbers over the repeats; without a second one, 0."""
    stacked = torch.stack(values)
    return Repeated(stacked.mean(0), stacked.std(0, correction=min(1, len(values) - 1)))


def say_spread(found: list[Repeated], repeats: int) -> str:
    """Say by how much the numbers of regions differ between repeats; "" for a single one."""
    if repeats == 1:
        return ""
    differences, means = (
        torch.cat([one[place].flatten().cpu() for one in found]) for place in (1, 0)
    )
    return (
        f" It is the mean of {repeats} regressions with other draws, between which it differs by "
        f"{format_number(float(differences.mean()), '.2g')} (standard deviation, on average; the "
        f"largest number of a region is {format_number(float(means.abs().max()), '.2g')})."
    )
