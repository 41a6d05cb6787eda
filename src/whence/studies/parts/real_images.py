"""Real images to set beside made ones: what a measure of realism says of what is real."""

import torch
from torch import Tensor

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
