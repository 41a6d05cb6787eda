"""Real images to set beside made ones: what a measure of realism says of what is real."""

import torch
from torch import Tensor

from whence.morphing.quality import NEAREST, distance_to_real

REAL = "real test images of the class"
"""Name of their row. A blurred image is near to many real ones, and may well be nearer than they
are to each other."""


def choose_real(labels: Tensor, wanted: Tensor) -> Tensor:
    """Choose an image of every wanted class, those of a class one after another.

    Args:
        labels: `(N,)` of the images.
        wanted: `(n,)` classes.

    Returns:
        `(n,)` places, -1 of a class without an image.

    >>> choose_real(torch.tensor([4, 1, 4]), torch.tensor([4, 4, 2, 4, 1])).tolist()
    [0, 2, -1, 0, 1]
    """
    found = torch.full_like(wanted, -1)
    for label in wanted.unique().tolist():
        own = (labels == label).nonzero().squeeze(1)
        rows = (wanted == label).nonzero().squeeze(1)
        if len(own):
            found[rows] = own[torch.arange(len(rows)) % len(own)]
    return found


def find_distances(made: Tensor, wanted: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Measure how far images are from the nearest real ones of their classes, `(n,)`.

    The nearest are ``NEAREST``, or as many as the smallest class has.

    Args:
        made: `(n, C, H, W)` in [0, 1].
        wanted: `(n,)` classes that they are to show.
        images: `(N, C, H, W)` real ones.
        labels: `(N,)` of these.
    """
    nearest = min(NEAREST, int(labels.bincount().min()))
    return distance_to_real(made, wanted, images, labels, nearest=nearest)
