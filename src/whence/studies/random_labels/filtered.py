"""Features that are not learnt: Gabor filters, and filters cut at random out of images."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

DIRECTIONS_OF_WAVES, WAVELENGTHS = 8, (3.0, 6.0, 12.0)
"""Directions and wavelengths in pixels; waves longer than half a side are left out."""

FILTERED_AT_ONCE = 256


def draw_gabor(wavelength: float, direction: float) -> Tensor:
    """Draw a Gabor filter: a wave under a Gaussian, in two phases that are a quarter apart.

    Daugman (1985), with a deviation of half a wavelength. Each phase has mean 0 and length 1.

    Args:
        wavelength: in pixels.
        direction: in radians, that the wave goes along; 0 is to the right.

    Returns:
        `(2, S, S)` double precision.
    """
    width = wavelength / 2
    reach = math.ceil(2 * width)
    line = torch.arange(-reach, reach + 1, dtype=torch.float64)
    along = line * math.cos(direction) + line[:, None] * math.sin(direction)  # (S, S)
    hull = (-(line.square() + line.square()[:, None]) / (2 * width**2)).exp()
    phase = 2 * math.pi * along / wavelength
    pair = torch.stack([phase.cos(), phase.sin()]) * hull
    pair = pair - hull * (pair.sum((1, 2), keepdim=True) / hull.sum())
    found: Tensor = pair / pair.flatten(1).norm(dim=1)[:, None, None]
    return found


def gabor_features(images: Tensor) -> Tensor:
    """Measure waves of eight directions and up to three lengths at every second pixel.

    Args:
        images: `(N, C, H, W)`; channels are averaged.

    Returns:
        `(N, D)` sizes of the waves, averaged over squares of 2 x 2 pixels.
    """
    longest = max(WAVELENGTHS[0], min(images.shape[2:]) / 2)
    angles = [math.pi * number / DIRECTIONS_OF_WAVES for number in range(DIRECTIONS_OF_WAVES)]
    found = []
    for wavelength in (one for one in WAVELENGTHS if one <= longest):
        pairs = torch.stack([draw_gabor(wavelength, angle) for angle in angles])  # (A, 2, S, S)
        bank = pairs.flatten(0, 1)[:, None].to(images)
        parts = []
        for some in images.mean(1, keepdim=True).split(FILTERED_AT_ONCE):
            sizes = F.conv2d(some, bank, padding=bank.shape[-1] // 2).unflatten(1, (-1, 2))
            parts.append(F.avg_pool2d(sizes.norm(dim=2), 2, ceil_mode=True).flatten(1))
        found.append(torch.cat(parts))
    return torch.cat(found, 1)


def cut_filters(images: Tensor, filters: int, *, generator: torch.Generator) -> Tensor:
    """Cut random patches out of images, each brought to mean 0 and length 1.

    Args:
        images: `(N, C, H, W)`.
        filters: how many.
        generator: on the CPU.

    Returns:
        `(filters, C, S, S)`, S a fifth of the side, at least 3.
    """
    side = max(3, min(images.shape[2:]) // 5)
    chosen = torch.randint(len(images), (filters,), generator=generator)
    tops, lefts = (
        torch.randint(length - side + 1, (filters,), generator=generator)
        for length in images.shape[2:]
    )
    steps = torch.arange(side)
    rows, columns = tops[:, None] + steps, lefts[:, None] + steps  # (F, S)
    patches = images[chosen[:, None, None], :, rows[:, :, None], columns[:, None]]  # (F, S, S, C)
    flat = patches.movedim(3, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    bank: Tensor = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return bank.view(filters, images.shape[1], side, side)


def random_filter_features(images: Tensor, bank: Tensor) -> Tensor:
    """Filter images, keep what is above and what is below 0, and average it over quarters.

    A convolution that is not learnt, as the publication's "random convolutional net" and Coates and
    Ng (2012) have it.

    Args:
        images: `(N, C, H, W)`.
        bank: `(F, C, S, S)`.

    Returns:
        `(N, 2 F 4)`.
    """
    found = []
    for some in images.split(FILTERED_AT_ONCE):
        answers = F.conv2d(some, bank)
        both = torch.cat([answers.relu(), (-answers).relu()], 1)
        found.append(F.adaptive_avg_pool2d(both, 2).flatten(1))
    return torch.cat(found)
