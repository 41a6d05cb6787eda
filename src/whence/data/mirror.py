"""May images be mirrored in training? Known of named datasets, found out for all others."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.records.images import ImageSet

MAY_MIRROR: Mapping[str, bool] = MappingProxyType(
    {
        "digits": False,
        "mnist": False,
        "fashion_mnist": False,
        "notmnist": False,
        "cifar10": True,
        "svhn": False,
        "cinic10": True,
    }
)
"""By the names of the datasets. Letters and digits become others, and every shoe of FashionMNIST
points the same way."""

COMPARED, SMALL_SIDE = 2000, 16
"""Images that are compared with each other at most, and the pixels of a side that they keep."""

SURE = 3.0
"""Deviations of chance by which fewer mirrored images must be recognised than others."""


class MirrorTest(NamedTuple):
    """How well images are recognised as they are, and mirrored.

    Attributes:
        images: that were asked about.
        right: of them, by the class of the nearest other image.
        mirrored_right: of them mirrored left to right.
        may: whether mirrored images are recognised as well, but for chance.
    """

    images: int
    right: int
    mirrored_right: int
    may: bool


def compare_mirrored(images: ImageSet) -> MirrorTest:
    """Find out whether mirrored images still look like their class.

    Each image is recognised by its nearest neighbour among the others, by the Euclidean distance
    of small copies, once as it is and once mirrored.

    Args:
        images: N of all classes; of very many the first are taken.
    """
    labels = images.labels[:COMPARED]
    pixels = shrink(images.images[:COMPARED])  # (N, C * h * w)
    mirrored = shrink(images.images[:COMPARED].flip(-1))
    known, found = (labels[nearest_other(asked, pixels)] == labels for asked in (pixels, mirrored))
    lost, won = int((known & ~found).sum()), int((found & ~known).sum())
    may = lost - won <= SURE * (lost + won) ** 0.5
    return MirrorTest(len(labels), int(known.sum()), int(found.sum()), may)


def shrink(images: Tensor) -> Tensor:
    """Bring images `(N, C, H, W)` to few pixels, `(N, C * h * w)` float32."""
    height, width = (min(SMALL_SIDE, side) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images.float(), (height, width)).flatten(1)


def nearest_other(asked: Tensor, pixels: Tensor) -> Tensor:
    """Find for each of `(N, P)` the nearest of `(N, P)` in another row; `(N,)` places."""
    distances = torch.cdist(asked, pixels)
    return distances.fill_diagonal_(torch.inf).argmin(1)
