"""What filters look like in pixels, and whether they are edges of one orientation."""

import torch
from torch import Tensor

from whence.studies.deconvolutional.layers import DeconvolutionalLayer, rebuild_image


def show_second(first: DeconvolutionalLayer, second: DeconvolutionalLayer) -> Tensor:
    """Project each filter of the second layer down to pixels, `(K, C, h + h' - 1, ...)`.

    Filters are convolved with each other, all of them, so that nothing is cut off.
    """
    side, own = first.filters.shape[2], second.filters.shape[2]
    reach = 2 * (side + own - 2) + 1
    maps = torch.zeros(len(second.filters), len(second.filters), reach, reach)
    numbers = torch.arange(len(second.filters))
    maps[numbers, numbers, reach // 2, reach // 2] = 1
    return rebuild_image(first, second, maps)


def measure_orientation(patterns: Tensor) -> Tensor:
    """Measure how far patterns have one orientation: 1 for a grating, 0 for a cross or a blob.

    The length of the mean of exp(2 i angle) over the Fourier transform, weighted with its power.

    Args:
        patterns: `(K, C, h, w)`; channels are added.

    Returns:
        `(K,)` in [0, 1].
    """
    grey = patterns.sum(1)
    grey = grey - grey.mean((1, 2), keepdim=True)
    power = torch.fft.fft2(grey, s=(FOURIER_SIDE, FOURIER_SIDE)).abs().square()
    places = torch.fft.fftfreq(FOURIER_SIDE)
    angles = torch.atan2(places[:, None], places[None, :])
    across = (power * torch.cos(2 * angles)).sum((1, 2))
    along = (power * torch.sin(2 * angles)).sum((1, 2))
    total = power.sum((1, 2)) - power[:, 0, 0]
    found: Tensor = torch.hypot(across, along) / total.clamp_min(1e-12)
    return found


FOURIER_SIDE = 33
"""Frequencies of a side; odd, so that every one has its opposite."""


def measure_sharpness(rebuilt: Tensor, images: Tensor) -> float:
    """Measure how strong edges of reconstructions are beside those of the images: 1 is as sharp.

    The slope along the image's own edges: the sum of products of both gradients, by that of the
    squares of the image's. Edges elsewhere, and noise, add nothing.
    """
    pairs = [
        (one.diff(dim=axis), other.diff(dim=axis))
        for axis in (2, 3)
        for one, other in [(rebuilt, images)]
    ]
    both = sum(float((one * other).sum()) for one, other in pairs)
    own = sum(float(other.square().sum()) for _, other in pairs)
    return both / own


def measure_error(rebuilt: Tensor, images: Tensor) -> float:
    """Compute the share of the images' energy that reconstructions miss."""
    return float((rebuilt - images).square().sum() / images.square().sum())
