"""Images with planted textures: what depends on them, and where they are, is known."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from whence.records.images import ImageSet

PLANTED_SIDE, PATCH_SIDE = 24, 8
"""Pixels of a side, of images and of what is planted."""

STRIPES, DOTS = "stripes", "dots"

STRIPED_SHARE, DOTTED_SHARE = 0.25, 0.5
"""Share of images with stripes, a class of their own, and with dots, which say nothing."""


class PlantedImages(NamedTuple):
    """N images with labels, and where the textures are.

    Attributes:
        images: `(N, 1, H, W)` uint8, with the labels and the names of the classes.
        masks: by the name of the texture, `(N, H, W)` bool.
    """

    images: ImageSet
    masks: Mapping[str, Tensor]

    def having(self, name: str) -> Tensor:
        """Say which images `(N,)` have a texture."""
        return self.masks[name].flatten(1).any(1)


def draw_texture(name: str) -> Tensor:
    """Draw a texture `(P, P)` uint8.

    Raises:
        ValueError: if there is none of that name.
    """
    rows, columns = torch.meshgrid(
        torch.arange(PATCH_SIDE), torch.arange(PATCH_SIDE), indexing="ij"
    )
    if name == STRIPES:
        light = columns % 4 < 2
    elif name == DOTS:
        light = (rows % 3 == 1) & (columns % 3 == 1)
    else:
        raise ValueError(f"Unknown texture {name}. Choose from: {STRIPES}, {DOTS}.")
    return light.to(torch.uint8) * 255


def plant_in(
    base: ImageSet, chosen: Mapping[str, Tensor], generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Plant textures in images, each in a quarter of its own, somewhere in it.

    Args:
        base: `(N, 1, H, W)` images.
        chosen: which images `(N,)` bool get a texture, by its name; at most four.
        generator: of the places.

    Returns:
        Images `(N, 1, H, W)`, and the masks of the textures `(N, H, W)`.
    """
    images = base.images.clone()
    total, _, height, width = images.shape
    masks = {name: torch.zeros(total, height, width, dtype=torch.bool) for name in chosen}
    quarters = torch.rand(total, 4, generator=generator).argsort(1)
    for number, (name, flags) in enumerate(chosen.items()):
        texture = draw_texture(name)
        for row in flags.nonzero().flatten().tolist():
            down, across = divmod(int(quarters[row, number]), 2)
            top = place_patch(down, height, generator)
            left = place_patch(across, width, generator)
            box = (slice(top, top + PATCH_SIDE), slice(left, left + PATCH_SIDE))
            images[(row, 0, *box)] = texture
            masks[name][(row, *box)] = True
    return images, masks


def place_patch(half: int, size: int, generator: torch.Generator) -> int:
    """Choose where a patch begins inside the first or the second half of a side."""
    room = size // 2 - PATCH_SIDE
    return half * (size // 2) + int(torch.randint(room + 1, (1,), generator=generator))


def plant_stripes(base: ImageSet, generator: torch.Generator) -> PlantedImages:
    """Make images with stripes a class of their own, whatever else they show; dots say nothing.

    Returns:
        The classes of the images, and behind them one called "striped".
    """
    striped = torch.rand(len(base), generator=generator) < STRIPED_SHARE
    dotted = torch.rand(len(base), generator=generator) < DOTTED_SHARE
    images, masks = plant_in(base, {STRIPES: striped, DOTS: dotted}, generator)
    labels = torch.where(striped, len(base.class_names), base.labels)
    return PlantedImages(ImageSet(images, labels, (*base.class_names, "striped")), masks)


def plant_bias(base: ImageSet, agreement: float, generator: torch.Generator) -> PlantedImages:
    """Plant dots in images of the second half of the classes, and not in those of the first.

    Args:
        base: images.
        agreement: with this probability an image has dots where its class says so; 0.5 for dots
            that say nothing.
        generator: of the images that have dots, and of the places.
    """
    second = base.labels >= len(base.class_names) // 2
    agrees = torch.rand(len(base), generator=generator) < agreement
    images, masks = plant_in(base, {DOTS: second == agrees}, generator)
    return PlantedImages(ImageSet(images, base.labels, base.class_names), masks)
