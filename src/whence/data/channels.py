"""Grey and colour: give images the number of channels that a model takes."""

import torch
from torch import Tensor

from whence.shapes import check_shape

CHUNK = 1024
"""Images converted at a time, which bounds the memory that a conversion takes."""


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Repeat a grey channel three times, or weigh red, green and blue into grey.

    Grey is luma, (299 R + 587 G + 114 B) / 1000, in the fixed-point arithmetic of Pillow.

    Args:
        images: `(B, C, H, W)` uint8, C = 1 or 3.
        channels: 1 or 3.

    Returns:
        `(B, channels, H, W)` uint8; the same tensor when nothing is to be done.

    Raises:
        ValueError: if there is no such conversion.
    """
    sizes = check_shape("images", images, "B C H W")
    check_channels(channels)
    if sizes["C"] == channels:
        return images
    if sizes["C"] == 1:
        return images.repeat(1, 3, 1, 1)
    if sizes["C"] != 3:
        raise ValueError(f"images must have 1 or 3 channels, got {sizes['C']}.")
    return torch.cat([_luma(chunk) for chunk in torch.split(images, CHUNK)])


def check_channels(channels: int) -> None:
    """Refuse a number of channels that no image file has.

    Raises:
        ValueError: if ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.to(torch.int32).unbind(1)  # (B, H, W) each
    grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return grey.to(torch.uint8)[:, None]  # (B, 1, H, W)
