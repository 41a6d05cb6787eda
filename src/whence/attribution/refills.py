"""What stands in the place of hidden pixels."""

import torch
from torch import Tensor

from whence.attribution.baseline_images import black, blur, mean, white
from whence.messages import quote
from whence.metrics.attributed import Refill

WITHOUT_AUTOENCODER = ("black", "white", "mean", "noise", "blur")
"""Refills that need nothing but the image."""


def find_refill(name: str, shape: tuple[int, int, int], generator: torch.Generator) -> Refill:
    """Make a refill for images with values in [0, 1].

    Args:
        name: "black", "white", "mean" (the image's own mean colour), "noise" (uniform, the same for
            all images) or "blur".
        shape: (C, H, W) of the images.
        generator: of the noise.

    Raises:
        ValueError: if the name is unknown.
    """
    noise = torch.rand(shape, generator=generator)
    sources = {
        "black": black,
        "white": white,
        "mean": mean,
        "noise": lambda images: noise.to(images).expand_as(images),
        "blur": blur,
    }
    if name not in sources:
        raise ValueError(f"Unknown refill {quote(name)}. Choose from: {', '.join(sources)}.")
    source = sources[name]

    def refill(images: Tensor, hidden: Tensor) -> Tensor:
        return source(images).where(hidden[:, None], images)

    return refill
