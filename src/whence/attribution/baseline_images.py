"""Baselines of images `(B, C, H, W)`: same shape, same range up to rounding.

Which one is right depends on what counts as nothing: a pixel that already has the baseline's colour
gets no relevance (Sturmfels, Lundberg and Lee, 2020, "Visualizing the impact of feature attribution
baselines", Distill).
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from whence.attribution.baselines import BASELINES, COLOURS, IN_WORDS
from whence.messages import quote
from whence.shapes import check_shape

Baseline: TypeAlias = Callable[[Tensor], Tensor]
"""Maps images `(n, C, H, W)` to images of the same shape."""

BLUR = 1 / 8
"""Deviation of the Gaussian of ``blur``, as a fraction of the image's shorter side."""


class PathStart(NamedTuple):
    """A baseline, and how a reader is told of it."""

    of: Baseline
    words: str


def find_start(
    baseline: str | Tensor, images: Tensor, *, pixels: bool, name: str = "baseline"
) -> PathStart:
    """Understand where a path to images starts, or what is seen where they are hidden.

    Args:
        baseline: a name from ``BASELINES``, or one image `(C, H, W)` in the units of ``images``.
        images: `(B, C, H, W)` that are explained.
        pixels: their values run from 0 to 1 (or they are uint8), and so must the baseline's.
        name: of the option that it came by.

    Raises:
        ValueError: if the name is unknown, is a colour though the images leave [0, 1], or the image
            does not fit.
    """
    if not isinstance(baseline, Tensor):
        if baseline not in BASELINES:
            choices = ", ".join(BASELINES)
            raise ValueError(f"Unknown {name} {quote(baseline)}. Choose from: {choices}.")
        if baseline in COLOURS and not pixels and not inside(images):
            raise ValueError(
                f"{name} {quote(baseline)} is a colour of pixels in [0, 1], which the images "
                "leave; give a tensor (C, H, W) in their units, or one of the names mean and blur."
            )
        return PathStart(BASELINES[baseline], IN_WORDS[baseline])
    given = baseline.detach()
    sizes = dict(zip("CHW", images.shape[1:], strict=True))
    check_shape(name, given, "C H W", **sizes)
    if not bool(given.isfinite().all()) or (pixels and not inside(given)):
        wanted = "in [0, 1], as pixels are" if pixels else "finite numbers"
        low, high = float(given.min()), float(given.max())
        raise ValueError(f"{name} must be {wanted}, got numbers from {low:.3g} to {high:.3g}.")
    return PathStart(lambda some: given.to(some).expand_as(some), "the image that was given")


def inside(images: Tensor) -> bool:
    """Say whether all values are in [0, 1]."""
    return bool(((images >= 0) & (images <= 1)).all())


def white(images: Tensor) -> Tensor:
    """Return white images."""
    return torch.ones_like(images)


def black(images: Tensor) -> Tensor:
    """Return black images."""
    return torch.zeros_like(images)


def mean(images: Tensor) -> Tensor:
    """Fill every image with its own mean colour.

    >>> mean(torch.tensor([[[[0.0, 1.0]], [[0.2, 0.4]]]])).flatten()
    tensor([0.5000, 0.5000, 0.3000, 0.3000])
    """
    return images.mean((-2, -1), keepdim=True).expand_as(images).contiguous()


def blur(images: Tensor) -> Tensor:
    """Blur every image with a Gaussian of an eighth of its shorter side.

    At the border the Gaussian is cut and made to sum to one again, so that a plain image stays
    as it is.
    """
    height, width = images.shape[-2:]
    deviation = BLUR * min(height, width)
    return gaussian(height, deviation, images) @ images @ gaussian(width, deviation, images).mT


def gaussian(size: int, deviation: float, like: Tensor) -> Tensor:
    """Weigh `(size, size)` neighbours: row i says how much each place counts for place i."""
    places = torch.arange(size, dtype=like.dtype, device=like.device)
    weights = (-0.5 * ((places - places[:, None]) / deviation).square()).exp()
    return weights / weights.sum(1, keepdim=True)
