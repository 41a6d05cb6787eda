"""Mean and deviation of the pixels of a training set."""

import torch
from torch import Tensor

from whence.shapes import check_shape

PIXELS = 2**20
"""Pixels of one channel counted at a time, which bounds the memory that counting takes."""


def measure_pixels(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute mean and deviation of every channel from how often each value occurs.

    Counting takes no float copy of the images, and the order of additions cannot matter.

    Args:
        images: `(N, C, H, W)` uint8, on any device; at least two pixels a channel.

    Returns:
        Means, in [0, 1], and sample deviations, at least 0.001; C of each, to six digits.

    Raises:
        TypeError: if the images are not uint8.
        ValueError: if there are fewer than two pixels a channel.

    >>> measure_pixels(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1))
    ((0.5,), (0.707107,))
    """
    sizes = check_shape("images", images, "N C H W")
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}.")
    pixels = sizes["N"] * sizes["H"] * sizes["W"]
    if pixels < 2:
        raise ValueError(f"images must have at least two pixels a channel, got {pixels}.")
    together = max(1, PIXELS // (sizes["H"] * sizes["W"]))  # images
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(1):
        counts = torch.zeros(256, dtype=torch.int64, device=images.device)
        for part in channel.split(together):
            counts += part.flatten().bincount(minlength=256)
        occurs = counts.cpu().double()  # (256,)
        mean = (occurs * values).sum() / occurs.sum()
        variance = (occurs * (values - mean).square()).sum() / (occurs.sum() - 1)
        means.append(round(float(mean), 6))
        deviations.append(round(max(float(variance.sqrt()), 1e-3), 6))
    return tuple(means), tuple(deviations)
