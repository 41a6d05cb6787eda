"""Images from whole to wholly disturbed, and mixes of these pixel by pixel."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.baseline_images import BLUR, gaussian
from whence.attribution.hiding import Fill, find_fill

LEVELS = 5
"""Steps from the image to its strongest blur."""

DEVIATION = 0.25
"""Of the noise, as a share of the image's own range."""


class Disturbance(NamedTuple):
    """A way to disturb images."""

    of: Callable[[Tensor], Tensor]  # images (n, C, H, W) to (n, L, C, H, W), the first as they are
    words: str


def choose_disturbance(
    fill: Fill, images: Tensor, generator: torch.Generator | None, *, bounded: bool
) -> Disturbance:
    """Understand what a disturbed pixel becomes.

    Args:
        fill: "blur", "noise", or what ``find_fill`` takes.
        images: `(B, C, H, W)` that are explained.
        generator: of the noise.
        bounded: values run from 0 to 1.

    Raises:
        ValueError: if the fill does not fit, or noise comes without a generator.
    """
    if isinstance(fill, str) and fill == "blur":
        return Disturbance(blur_stepwise, "blurred")
    if isinstance(fill, str) and fill == "noise":
        if generator is None:
            raise ValueError("fill 'noise' needs the option generator, which was not given.")
        drawing = generator
        return Disturbance(
            lambda some: torch.stack([some, add_noise(some, drawing, bounded=bounded)], 1),
            "replaced by noise",
        )
    filled = find_fill(fill, images, bounded=bounded)
    return Disturbance(
        lambda some: torch.stack([some, filled.of(some)], 1), f"replaced by {filled.words}"
    )


def blur_stepwise(images: Tensor) -> Tensor:
    """Blur images `(n, C, H, W)` more and more, up to the baseline ``blur``; `(n, L, C, H, W)`."""
    height, width = images.shape[2:]
    layers = [images]
    for level in range(1, LEVELS + 1):
        deviation = BLUR * min(height, width) * level / LEVELS
        rows, columns = (gaussian(side, deviation, images) for side in (height, width))
        layers.append(rows @ images @ columns.mT)
    return torch.stack(layers, 1)


def add_noise(images: Tensor, generator: torch.Generator, *, bounded: bool) -> Tensor:
    """Draw noise around the mean colour of images `(n, C, H, W)`, a share of their range wide."""
    spans = images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True)
    drawn = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
    noise = images.mean((2, 3), keepdim=True) + DEVIATION * spans * drawn
    return noise.clamp(0, 1) if bounded else noise


def blend(layers: Tensor, masks: Tensor) -> Tensor:
    """Mix layers pixel by pixel.

    Args:
        layers: `(n, L, C, H, W)`, from the image as it is to the wholly disturbed one.
        masks: `(n, H, W)` 1 shows the image, 0 the last layer, and in between the two layers are
            mixed between which the number falls.

    Returns:
        `(n, C, H, W)`.

    >>> layers = torch.tensor([0.0, 1.0, 5.0]).view(1, 3, 1, 1, 1)
    >>> [blend(layers, torch.full((1, 1, 1), m)).item() for m in (1.0, 0.75, 0.25, 0.0)]
    [0.0, 0.5, 3.0, 5.0]
    """
    depths = (1 - masks)[:, None, None] * (layers.shape[1] - 1)  # (n, 1, 1, H, W)
    upper = depths.detach().floor().clamp(0, layers.shape[1] - 2)
    places = upper.long().expand(-1, -1, *layers.shape[2:])
    above, below = layers.gather(1, places), layers.gather(1, places + 1)
    return (above + (depths - upper) * (below - above))[:, 0]
