"""Pairs of training images put together into one: how, and how much each of the two counts."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.shapes import check_shape


class Mixed(NamedTuple):
    """Images that were put together in pairs.

    Attributes:
        images: `(B, C, H, W)`.
        others: `(B,)` places in the batch of the images that came into each.
        shares: `(B,)` how much of each is its own image, in [0, 1].
    """

    images: Tensor
    others: Tensor
    shares: Tensor


def mixup(images: Tensor, *, generator: torch.Generator) -> Mixed:
    """Lay another image of the batch over each (Zhang et al. 2018, arXiv:1710.09412, with alpha 1).

    Args:
        images: `(B, C, H, W)` uint8, or floats in [0, 1], on any device.
        generator: source of the pairs and of the shares, which are uniform in [0, 1].

    Returns:
        Floats in [0, 1]: share * image + (1 - share) * other.
    """
    check_shape("images", images, "B C H W")
    others = draw_pairs(images, generator)
    shares = torch.rand(len(images), generator=generator, device=generator.device)
    shares, plain = shares.to(images.device), to_float(images)
    own = shares.to(plain.dtype)[:, None, None, None]
    return Mixed(torch.lerp(plain[others], plain, own).clamp(0, 1), others, shares)


def cutmix(images: Tensor, *, generator: torch.Generator) -> Mixed:
    """Lay a box of another image of the batch into each (Yun et al. 2019, arXiv:1905.04899).

    The box has the shape of the image and a uniform share of its area, its middle is any pixel; of
    a box that reaches over the border what is inside counts.

    Args:
        images: `(B, C, H, W)` of any dtype and device.
        generator: source of the pairs and of the boxes.

    Returns:
        Images of the same dtype, on the same device.
    """
    sizes, device = check_shape("images", images, "B C H W"), images.device
    others = draw_pairs(images, generator)
    half, *middle = torch.rand(3, sizes["B"], 1, generator=generator, device=generator.device)
    inside = []
    for place, side in zip(middle, (sizes["H"], sizes["W"]), strict=True):
        away = torch.arange(side, device=generator.device) + 0.5 - side * place  # (B, side)
        inside.append((away.abs() < half.sqrt() * side / 2).to(device))
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
    shares = 1 - box.flatten(1).float().mean(1)
    return Mixed(torch.where(box, images[others], images), others, shares)


def draw_pairs(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw which image `(B,)` comes into each; every image comes into one."""
    drawn = torch.randperm(len(images), generator=generator, device=generator.device)
    return drawn.to(images.device)
