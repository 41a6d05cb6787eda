"""A network whose answer is a sum over prototypes: how much some patch resembles each of them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

PATCH_CHANNELS, PATCH_WIDTH = 32, 16
SIDE_HALVED_ONCE = 16
"""Images of fewer pixels a side are halved once, larger ones twice."""

PATCH_EPSILON = 1e-4
OTHER_CLASS = -0.5
"""Weight of a prototype for classes that are not its own, until these weights are learned."""


class PatchGrid(NamedTuple):
    """Where patches lie: the first begins at ``start``, each ``step`` further, ``size`` wide."""

    start: int
    step: int
    size: int


class PatchEncoder(nn.Module):
    """Convolutions that turn images into a grid of patch vectors in (0, 1).

    Args:
        channels: C of the images.
        side: pixels of a side.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, grid = channels, PatchGrid(0, 1, 1)
        plan = "ccp" if side < SIDE_HALVED_ONCE else "ccpcp"
        for kind in plan:
            if kind == "c":
                layers += [nn.Conv2d(width, PATCH_CHANNELS, 3, padding=1), nn.ReLU()]
                width = PATCH_CHANNELS
                grid = grid._replace(start=grid.start - grid.step, size=grid.size + 2 * grid.step)
            else:
                layers.append(nn.MaxPool2d(2))
                grid = grid._replace(step=2 * grid.step, size=grid.size + grid.step)
        layers += [nn.Conv2d(width, PATCH_WIDTH, 1), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:
        """Encode images `(B, C, H, W)` in [0, 1] to patches `(B, D, h, w)`."""
        found: Tensor = self.layers(images - 0.5)
        return found

    def locate(self, row: int, column: int, side: int) -> tuple[int, int, int, int]:
        """Say which pixels a patch sees: top, left, bottom, right, within the image."""
        start, step, size = self.grid
        top, left = start + step * row, start + step * column
        return max(0, top), max(0, left), min(side, top + size), min(side, left + size)


class PartNetwork(nn.Module):
    """Chen et al. (2019), section 2.1: patches, prototypes, and a linear layer on similarities.

    Args:
        encoder: of patches.
        classes: K.
        each: prototypes of every class.
    """

    owners: Tensor
    """`(P,)` the class of each prototype."""

    def __init__(self, encoder: PatchEncoder, classes: int, each: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.prototypes = nn.Parameter(torch.rand(classes * each, PATCH_WIDTH))
        self.register_buffer("owners", torch.arange(classes).repeat_interleave(each))
        own = self.owners == torch.arange(classes)[:, None]  # (K, P)
        self.weights = nn.Parameter(torch.where(own, 1.0, OTHER_CLASS))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits `(B, K)`."""
        return self.compare(images)[0]

    def compare(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits `(B, K)` and the smallest squared distance to each prototype, `(B, P)`."""
        nearest = self.measure_patches(images).flatten(2).amin(2)
        return liken(nearest) @ self.weights.T, nearest

    def measure_patches(self, images: Tensor) -> Tensor:
        """Compute squared distances of all patches to all prototypes, `(B, P, h, w)`."""
        patches = self.encoder(images)  # (B, D, h, w)
        products = torch.einsum("bdhw,pd->bphw", patches, self.prototypes)
        squares = patches.square().sum(1, keepdim=True)
        lengths = self.prototypes.square().sum(1)[:, None, None]
        found: Tensor = (squares - 2 * products + lengths).clamp_min(0)
        return found


def liken(distances: Tensor) -> Tensor:
    """Turn squared distances into similarities: log((d + 1) / (d + 0.0001)).

    >>> float(liken(torch.tensor(0.0))) > 9, round(float(liken(torch.tensor(1e6))), 5)
    (True, 0.0)
    """
    return ((distances + 1) / (distances + PATCH_EPSILON)).log()


class PlainNetwork(nn.Module):
    """The plain network beside it: the same patches, all of them, and a linear layer.

    Args:
        encoder: of patches.
        classes: K.
        side: pixels of a side of the images.
    """

    def __init__(self, encoder: PatchEncoder, classes: int, side: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(PATCH_WIDTH * (side // encoder.grid.step) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits `(B, K)`."""
        logits: Tensor = self.classifier(self.encoder(images).flatten(1))
        return logits
