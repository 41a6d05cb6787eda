"""Correlation of the relevance of random pixels with what the score loses without them."""

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed
from whence.metrics.correlation import correlate_rows
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness

SIZES = 6
"""Sizes of sets that are tried, equal factors apart."""

LARGEST_SET = 0.8
"""The largest, as a share of all pixels."""


def sensitivity_n(
    attributed: Attributed, *, generator: torch.Generator, subsets: int = 50
) -> MeasuredFaithfulness:
    """Correlate the summed relevance of n random pixels with the fall of the score without them.

    Ancona, Ceolini, Oeztireli and Gross (2018), arXiv:1711.06104, section 4, averaged over several
    n from 1 pixel to 80 % of them. On a linear score exact relevance gives 1.

    Args:
        attributed: images and their relevance.
        generator: of the sets, the same for all images.
        subsets: sets of each size.

    Returns:
        Correlations in -1 to 1, higher is better, and the curve `(B, S)` over n. NaN where
        relevance is the same everywhere, or no set changes the score.
    """
    pixels = attributed.relevance[0].numel()
    hidden = [
        draw_subsets(subsets, size, pixels, generator) for size in choose_sizes(pixels)
    ]  # S times (subsets, H * W)
    sets = torch.cat(hidden)
    falls = attributed.once(
        ("sensitivity_n", subsets), lambda: find_falls(attributed, sets), generator
    )  # (B, S * subsets)
    sums = attributed.relevance.flatten(1).double() @ sets.double().T
    pairs = zip(sums.split(subsets, 1), falls.split(subsets, 1), strict=True)
    curve = torch.stack([correlate_rows(one, other) for one, other in pairs], 1)
    return MeasuredFaithfulness(curve.nanmean(1), curve)


def choose_sizes(pixels: int) -> list[int]:
    """Choose sizes of sets out of a number of pixels.

    >>> choose_sizes(784)
    [1, 4, 13, 48, 173, 627]
    """
    largest = max(1.0, LARGEST_SET * pixels)
    return sorted({round(largest ** (place / (SIZES - 1))) for place in range(SIZES)})


def draw_subsets(count: int, size: int, pixels: int, generator: torch.Generator) -> Tensor:
    """Draw sets of ``size`` pixels; `(count, pixels)` bool."""
    places = torch.rand((count, pixels), generator=generator).argsort(1)[:, :size]
    return torch.zeros((count, pixels), dtype=torch.bool).scatter(1, places, True)


def find_falls(attributed: Attributed, sets: Tensor) -> Tensor:
    """Find by how much scores fall without sets of pixels `(n, H * W)`; `(B, n)`."""
    whole, size = attributed.score(attributed.images), attributed.relevance.shape[1:]
    falls = [whole - attributed.score(attributed.hide(one.view(size))) for one in sets]
    return torch.stack(falls, 1)


SENSITIVITY_N = FaithfulnessMeasure(
    "sensitivity_n",
    sensitivity_n,
    better="higher",
    question="How well the summed relevance of random pixels tells by how much the score falls "
    "without them, as a correlation.",
)
