"""Pixels and relevance as PNG files that a page can hold."""

import base64
import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from whence.shapes import check_shape

POSITIVE, NEGATIVE = (178, 24, 43), (33, 102, 172)
"""The ends of the colour scale, which colour-blind eyes tell apart: red raises the score."""

QUANTILE = 0.995
"""The scale ends here, so that a few extreme pixels do not turn all others white."""

SMALLEST = 96
"""Images are shown at least this many pixels wide or high."""


def to_png(image: Tensor) -> bytes:
    """Encode `(C, H, W)` uint8 pixels, C = 1 or 3, without loss and at their own size.

    Raises:
        TypeError: if the pixels are not uint8.
        ValueError: if there are not 1 or 3 channels.
    """
    sizes = check_shape("image", image, "C H W")
    if image.dtype != torch.uint8:
        raise TypeError(f"image must be uint8, got {image.dtype}.")
    if sizes["C"] not in (1, 3):
        raise ValueError(f"image must have 1 or 3 channels, got {sizes['C']}.")
    pixels = np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy())  # (H, W, C)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if sizes["C"] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def to_data_uri(image: Tensor) -> str:
    """Write `(C, H, W)` uint8 pixels as text that an ``img`` element can hold."""
    return "data:image/png;base64," + base64.b64encode(to_png(image)).decode()


def to_uint8(image: Tensor) -> Tensor:
    """Bring pixels, uint8 or float in [0, 1], to uint8 on the CPU."""
    if image.dtype == torch.uint8:
        return image.cpu()
    return (image.detach().cpu().float() * 255).round().clamp(0, 255).to(torch.uint8)


def find_limit(maps: list[Tensor]) -> float:
    """Find the end of the colour scale that several relevance maps share.

    Args:
        maps: `(H, W)` each, in score units.

    Returns:
        The quantile ``QUANTILE`` of all absolute values that are not 0; 1 if all are 0.
    """
    values = torch.cat([one.flatten() for one in maps]).abs().double()
    values = values[values > 0].sort().values
    if not len(values):
        return 1.0
    return float(values[math.ceil(QUANTILE * len(values)) - 1])


def find_factor(limit: float, smaller: float) -> int:
    """Choose how many times stronger maps that reach only to ``smaller`` are coloured.

    Returns:
        The largest of 1, 2, 5, 10, 20, 50, ... that keeps them within ``limit``.

    >>> find_factor(0.4, 0.006), find_factor(0.4, 0.5), find_factor(1.0, 0.1)
    (50, 1, 10)
    """
    steps = [digit * int(10**power) for power in range(9) for digit in (1, 2, 5)]
    return max([1, *(step for step in steps if step * smaller <= limit)])


def colour(relevance: Tensor, limit: float) -> Tensor:
    """Colour relevance `(H, W)`: white at 0, red above, blue below, full colour at ``limit``.

    Returns:
        `(3, H, W)` uint8.
    """
    check_shape("relevance", relevance, "H W")
    strength = (relevance.double() / limit).clamp(-1, 1)
    end = torch.where(
        strength[None] > 0,
        torch.tensor(POSITIVE, dtype=torch.float64)[:, None, None],
        torch.tensor(NEGATIVE, dtype=torch.float64)[:, None, None],
    )  # (3, H, W)
    return (255 + (end - 255) * strength.abs()).round().to(torch.uint8)


def draw_scale(width: int = 201, height: int = 12) -> Tensor:
    """Draw the colour scale from the negative to the positive end, `(3, height, width)` uint8."""
    return colour(torch.linspace(-1, 1, width).expand(height, width), 1.0)


def shown_size(height: int, width: int, *, smallest: int = SMALLEST, largest: int = 224) -> int:
    """Choose how wide an image is shown, in CSS pixels.

    Small ones are enlarged by a whole number, so that every pixel stays a square; large ones are
    made to fit.

    >>> shown_size(28, 28), shown_size(8, 8), shown_size(100, 400, largest=200), shown_size(64, 32)
    (112, 96, 200, 64)
    """
    longer = max(height, width)
    if longer > largest:
        return max(1, round(width * largest / longer))
    return width * math.ceil(smallest / longer)
