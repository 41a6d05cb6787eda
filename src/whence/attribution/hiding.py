"""Scores of images that are partly hidden: many variants of many images in one pass."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from whence.attribution.baseline_images import PathStart, find_start
from whence.attribution.progress import count_parts
from whence.attribution.score import Score
from whence.messages import quote

Fill: TypeAlias = str | float | tuple[float, ...] | Tensor
"""What is seen where an image is hidden."""


def find_fill(fill: Fill, images: Tensor, *, bounded: bool) -> PathStart:
    """Understand what hidden pixels are replaced by.

    Args:
        fill: a name from ``BASELINES``, a number, a colour of C numbers, or an image `(C, H, W)`,
            the last three in the units of ``images``.
        images: `(B, C, H, W)`.
        bounded: their values run from 0 to 1.

    Raises:
        ValueError: if the name is unknown, or the numbers do not fit.
    """
    if isinstance(fill, str) or (isinstance(fill, Tensor) and fill.dim() == 3):
        return find_start(fill, images, pixels=bounded, name="fill")
    colour = torch.as_tensor(fill, dtype=torch.float64).flatten()
    channels, *size = images.shape[1:]
    if len(colour) not in (1, channels):
        raise ValueError(
            f"fill must be a name, a number, a colour of {channels} numbers or an image (C, H, W), "
            f"got {quote(fill)}."
        )
    image = colour.view(-1, 1, 1).expand(channels, *size)
    return find_start(image, images, pixels=bounded, name="fill")._replace(words="the given colour")


def score_hidden(
    score: Score,
    images: Tensor,
    fills: Tensor,
    hide: Callable[[Tensor, Tensor], Tensor],
    count: int,
    *,
    method: str,
) -> Tensor:
    """Score every image once for each of several ways to hide parts of it.

    Args:
        score: of B images.
        images: `(B, C, H, W)` in its precision.
        fills: `(B, C, H, W)` what is seen where they are hidden.
        hide: maps numbers of images and of ways, `(n,)` both, to `(n, H, W)` bool, True where that
            way hides that image.
        count: N, how many ways there are.
        method: that asks, for the progress bar.

    Returns:
        `(B, N)`.
    """
    total = len(images) * count
    parts = torch.arange(total).split(score.batch_size)
    found = []
    with torch.no_grad():
        for part in count_parts(parts, method, total=len(parts), unit="pass"):
            rows, ways = part // count, part % count
            at = rows.to(images.device)
            hidden = hide(rows, ways).to(images.device)[:, None]
            found.append(score.take(rows)(torch.where(hidden, fills[at], images[at])))
    return torch.cat(found).view(len(images), count)


def share_channels(values: Tensor, channels: int) -> Tensor:
    """Give `(n, H, W)` numbers of pixels to their channels in equal parts; `(n, C, H, W)`."""
    return (values[:, None] / channels).expand(-1, channels, -1, -1)
