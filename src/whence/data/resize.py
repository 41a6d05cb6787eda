"""Resize images that are already in memory."""

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.bounds import check_number
from whence.shapes import check_shape

CHUNK = 1024
"""Images resized at a time, which bounds the memory that floats take."""


def resize(images: Tensor, size: int) -> Tensor:
    """Crop the centre square and resize it to ``size`` with antialiased bilinear weights.

    Args:
        images: `(B, C, H, W)` uint8.
        size: pixels of a side.

    Returns:
        `(B, C, size, size)` uint8; the same tensor when nothing is to be done.

    Raises:
        ValueError: if ``size`` is below 1.
    """
    sizes = check_shape("images", images, "B C H W")
    check_size(size)
    height, width = sizes["H"], sizes["W"]
    if (height, width) == (size, size):
        return images
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    squares = images[..., top : top + side, left : left + side]
    resized = images.new_empty(sizes["B"], sizes["C"], size, size)
    for target, chunk in zip(torch.split(resized, CHUNK), torch.split(squares, CHUNK), strict=True):
        values = F.interpolate(
            chunk.to(torch.float32), (size, size), mode="bilinear", antialias=True
        )
        target.copy_(values.round_().clamp_(0, 255))
    return resized


def check_size(size: int) -> None:
    """Refuse a side that is no number of pixels.

    Raises:
        TypeError: if it is not a whole number.
        ValueError: if it is too small or too large.
    """
    check_number("size", size)
