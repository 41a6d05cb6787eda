"""Random changes of training images: tensor indexing on the device that the images live on."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.shapes import check_shape

PADDING = 4
"""Pixels of black around an image before ``crop_flip`` cuts it, as is usual for 32 x 32."""

SHIFTED = 8
"""Images are shifted by at most one of so many parts of their side."""

MIRRORED: Mapping[str, str] = MappingProxyType({"none": "flip", "shift": "shift_flip"})
"""The augmentation that also mirrors, by the name of the one that does not."""


def none(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return images `(B, C, H, W)` as they are, and draw nothing."""
    check_shape("images", images, "B C H W")
    return images


def flip(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mirror every image left to right with probability one half.

    Args:
        images: `(B, C, H, W)` of any dtype and device.
        generator: source of the B coins, on any device.

    Returns:
        `(B, C, H, W)` of the same dtype, on the same device.
    """
    sizes = check_shape("images", images, "B C H W")
    coins = torch.rand(sizes["B"], generator=generator, device=generator.device) < 0.5
    mirrored = coins.to(images.device, non_blocking=True)[:, None, None, None]  # (B, 1, 1, 1)
    return torch.where(mirrored, images.flip(-1), images)


def crop_flip(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Shift every image by up to 4 pixels each way, black coming in, then ``flip``.

    The Memory Wrap paper (La Rosa et al., 2021, arXiv:2106.01440, appendix A.1.1) does not use
    it: a crop may leave only background, and the memory then retrieves by background.

    Args:
        images: `(B, C, H, W)` of any dtype and device.
        generator: source of the shifts and coins, on any device.

    Returns:
        `(B, C, H, W)` of the same dtype, on the same device.
    """
    sizes = check_shape("images", images, "B C H W")
    shifts = torch.randint(
        2 * PADDING + 1, (2, sizes["B"], 1), generator=generator, device=generator.device
    ).to(images.device, non_blocking=True)
    rows = shifts[0] + torch.arange(sizes["H"], device=images.device)  # (B, H)
    columns = shifts[1] + torch.arange(sizes["W"], device=images.device)  # (B, W)
    image = torch.arange(sizes["B"], device=images.device)[:, None, None, None]
    channel = torch.arange(sizes["C"], device=images.device)[None, :, None, None]
    padded = F.pad(images, (PADDING,) * 4)  # (B, C, H + 8, W + 8)
    cropped = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return flip(cropped, generator=generator)


def shift(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Shift every image by up to an eighth of its height and width; the border is reflected in.

    Args:
        images: `(B, C, H, W)` of any dtype and device.
        generator: source of the shifts, on any device.

    Returns:
        `(B, C, H, W)` of the same dtype, on the same device.
    """
    sizes, device = check_shape("images", images, "B C H W"), images.device
    rows, columns = (
        reflected(sizes["B"], sizes[side], generator).to(device, non_blocking=True)
        for side in ("H", "W")
    )
    image = torch.arange(sizes["B"], device=device)[:, None, None, None]
    channel = torch.arange(sizes["C"], device=device)[None, :, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def reflected(total: int, side: int, generator: torch.Generator) -> Tensor:
    """Draw shifts of lines of pixels; `(B, side)` places that the pixels are taken from."""
    most = max(1, side // SHIFTED) if side > 1 else 0
    drawn = torch.randint(-most, most + 1, (total, 1), generator=generator, device=generator.device)
    places = (drawn + torch.arange(side, device=generator.device)).abs()
    return side - 1 - (side - 1 - places).abs()


def shift_flip(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Do what ``shift`` does, then what ``flip`` does; arguments are theirs."""
    return flip(shift(images, generator=generator), generator=generator)


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1]; floats in [0, 1] pass unchanged.

    Args:
        images: any shape, uint8 or floating point.

    Raises:
        TypeError: if the images are neither uint8 nor floating point.
        ValueError: if a float is outside [0, 1] or not a number.

    >>> to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    if images.dtype == torch.uint8:
        return images.to(torch.float32) / 255
    if not images.is_floating_point():
        raise TypeError(
            f"images must be uint8 or floats in [0, 1], got {images.dtype}; "
            "convert them with images.to(torch.uint8)."
        )
    if torch.compiler.is_exporting() or images.numel() == 0:  # a graph has no numbers to look at
        return images
    low, high = (value.item() for value in images.detach().aminmax())
    if low != low:
        raise ValueError("images must be uint8 or floats in [0, 1], got NaN among them.")
    if low < 0 or high > 1:
        raise ValueError(
            f"images must be uint8 or floats in [0, 1], got floats from {low:g} to {high:g}; "
            "give pixels before any normalisation, the model normalises itself."
        )
    return images
