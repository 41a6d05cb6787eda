"""Baselines of images `(B, C, H, W)`, floats in [0, 1]: same shape, same range up to rounding.

Which one is right depends on what counts as nothing: a pixel that already has the baseline's colour
gets no relevance (Sturmfels, Lundberg and Lee, 2020, "Visualizing the impact of feature attribution
baselines", Distill).
"""

import torch
from torch import Tensor

BLUR = 1 / 8
"""Deviation of the Gaussian of ``blur``, as a fraction of the image's shorter side."""


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
