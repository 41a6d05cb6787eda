"""Regions that are hidden or shown as wholes: a grid of patches, or superpixels."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.patches import Sides, find_sides, number_patches
from whence.bounds import check_number

COLOURED, PLAIN = 10.0, 0.1
"""How compact superpixels are: of colours, which are compared on a scale of 100, and of others."""


class Regions(NamedTuple):
    """The regions that n images fall into."""

    numbers: Tensor  # (n, H, W) the region of each pixel, counted from 0
    counts: Tensor  # (n,) how many each image has
    words: str  # what one is


def find_regions(images: Tensor, patch: Sides | None, superpixels: int | None) -> Regions:
    """Cut images into regions.

    Args:
        images: `(n, C, H, W)`.
        patch: height and width of a patch; None is an eighth of the image's.
        superpixels: about how many regions that follow the image there are, instead of patches.

    Raises:
        ValueError: if both are given, or one does not fit.
        ModuleNotFoundError: if superpixels are asked for and scikit-image is not installed.
    """
    height, width = images.shape[2:]
    if superpixels is None:
        sides = find_sides("patch", patch, (height, width), share=8, of="the images")
        numbers = number_patches((height, width), sides)
        counts = torch.full((len(images),), int(numbers.max()) + 1)
        words = f"a patch of {sides[0]} x {sides[1]} pixels"
        return Regions(numbers.expand(len(images), -1, -1), counts, words)
    if patch is not None:
        raise ValueError("patch must be left out where superpixels are given, got both.")
    check_number("superpixels", superpixels)
    numbers = torch.stack([segment(image, superpixels) for image in images.cpu()])
    return Regions(numbers, numbers.flatten(1).amax(1) + 1, "a superpixel")


def segment(image: Tensor, count: int) -> Tensor:
    """Cut an image `(C, H, W)` into about so many superpixels; `(H, W)` their numbers from 0.

    Achanta et al. (2012), 10.1109/TPAMI.2012.120, as scikit-image computes them.

    Raises:
        ModuleNotFoundError: if scikit-image is not installed.
    """
    try:
        from skimage.segmentation import slic
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "superpixels need scikit-image, which is not installed: pip install 'whence[studies]'."
        ) from error
    pixels = image.permute(1, 2, 0).double().numpy()
    compactness = COLOURED if len(image) == 3 else PLAIN
    found = torch.from_numpy(
        slic(pixels, n_segments=count, compactness=compactness, channel_axis=-1)
    )
    numbers: Tensor = found.unique(return_inverse=True)[1]
    return numbers


def hide_regions(regions: Regions, shown: Tensor, rows: Tensor, ways: Tensor) -> Tensor:
    """Say which pixels are hidden where some regions are shown and all others are not.

    Args:
        regions: of B images.
        shown: `(N, R)` bool, which regions each way shows.
        rows: `(n,)` numbers of images.
        ways: `(n,)` numbers of ways.

    Returns:
        `(n, H, W)` bool.
    """
    numbers = regions.numbers[rows]
    return ~shown[ways].gather(1, numbers.flatten(1)).view(numbers.shape)


def spread_regions(regions: Regions, values: Tensor, *, shared: bool) -> Tensor:
    """Give numbers of regions to their pixels.

    Args:
        regions: of B images.
        values: `(B, R)`.
        shared: the pixels of a region share its number equally; otherwise each has all of it.

    Returns:
        `(B, H, W)`.
    """
    flat = regions.numbers.flatten(1)
    if shared:
        sizes = torch.zeros(values.shape, dtype=torch.int64).scatter_add(
            1, flat, torch.ones_like(flat)
        )
        values = values / sizes.clamp_min(1).to(values)
    return values.gather(1, flat.to(values.device)).view(regions.numbers.shape)
