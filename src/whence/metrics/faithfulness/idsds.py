"""Rank correlation of patches with the fall of the score of a model that knows hidden patches."""

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed
from whence.metrics.correlation import correlate_ranks
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness

PATCH_GRID = 4
"""Patches in a row, and in a column."""


def idsds(attributed: Attributed, *, grid: int = PATCH_GRID) -> MeasuredFaithfulness:
    """Hide one patch at a time, and compare the falls of the score with the patches' relevance.

    Hesse, Schaub-Meyer and Roth (2024), arXiv:2407.11910, in-domain single deletion score: the
    model has learned with hidden patches, so that images with one are nothing new to it.

    Args:
        attributed: with the same for such a model.
        grid: patches in a row, and in a column.

    Returns:
        Rank correlations in -1 to 1, higher is better. NaN where all patches are alike.

    Raises:
        ValueError: if there is no such model, or the image is smaller than the grid.
    """
    asked = attributed.in_domain
    if asked is None:
        raise ValueError("in_domain must be the same for a model that knows hidden patches.")
    patches = cut_patches(asked.relevance.shape[1], asked.relevance.shape[2], grid)
    key = ("idsds", grid)
    if key not in asked.kept:
        whole = asked.score(asked.images)
        asked.kept[key] = torch.stack([whole - asked.score(asked.hide(one)) for one in patches], 1)
    sums = asked.relevance.flatten(1).double() @ patches.flatten(1).double().T  # (B, G)
    return MeasuredFaithfulness(correlate_ranks(sums, asked.kept[key]))


def cut_patches(height: int, width: int, grid: int) -> Tensor:
    """Cut an image into a grid of patches as equal as can be; `(grid * grid, H, W)` bool.

    Raises:
        ValueError: if a patch would be empty.
    """
    if not 1 <= grid <= min(height, width):
        raise ValueError(f"grid must be in 1 to {min(height, width)}, got {grid}.")
    bands = [
        (torch.arange(size) * grid).div(size, rounding_mode="floor") for size in (height, width)
    ]
    numbers = bands[0][:, None] * grid + bands[1]  # (H, W)
    return numbers == torch.arange(grid * grid)[:, None, None]


IDSDS = FaithfulnessMeasure(
    "idsds",
    idsds,
    better="higher",
    question="How well the order of patches by relevance is that of the falls of the score when "
    "each is hidden alone, on a copy that has learned with hidden patches.",
    needs=("in_domain",),
)
