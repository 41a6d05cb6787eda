"""Patches of natural images, for layers whose units below are Gaussian."""

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.records.images import ImageSet

NATURAL_SIDE = 12
"""Pixels of a side, as published; less where images are smaller."""

LEAST_SHARED = 0.1
"""Of a direction, in the mean of all, which keeps those of nothing but noise from growing."""


def cut_natural_patches(
    images: ImageSet, count: int, *, generator: torch.Generator
) -> tuple[Tensor, tuple[int, int]]:
    """Cut grey patches out of images at random, and whiten them.

    Args:
        images: `(N, C, H, W)` uint8.
        count: how many.
        generator: on the CPU.

    Returns:
        `(count, V)` and the (h, w) of a patch, V = h w.
    """
    grey = to_float(images.images).mean(1)  # (N, H, W)
    height, width = (min(NATURAL_SIDE, side) for side in grey.shape[1:])
    chosen = torch.randint(len(grey), (count,), generator=generator)
    tops, lefts = (
        torch.randint(whole - part + 1, (count,), generator=generator)
        for whole, part in zip(grey.shape[1:], (height, width), strict=True)
    )
    rows = tops[:, None] + torch.arange(height)  # (count, h)
    columns = lefts[:, None] + torch.arange(width)
    patches = grey[chosen[:, None, None], rows[:, :, None], columns[:, None]]  # (count, h, w)
    return whiten(patches.flatten(1)), (height, width)


def whiten(patches: Tensor) -> Tensor:
    """Take the mean of each patch `(n, V)` away, and what pixels have in common; deviation 1.

    Along the axes of the pixels (zero-phase component analysis; Bell and Sejnowski 1997), so that
    a patch still looks like itself.
    """
    centred = patches - patches.mean(1, keepdim=True)
    centred = centred - centred.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    raised = values.clamp_min(0) + LEAST_SHARED * values.mean()
    found: Tensor = centred @ (vectors * raised.rsqrt()) @ vectors.T
    return found.div(found.std())
