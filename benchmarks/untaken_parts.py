"""Parts of a recipe that were measured and not taken: a training with each of them.

Alternating flip: a coin decides once for each image whether it is mirrored in even or in odd
epochs, so that no image is seen the same way in two epochs that follow each other (Jordan 2024,
arXiv:2404.00498).
"""

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from whence.data import AUGMENTATIONS
from whence.models.classifier import Classifier
from whence.training import in_steps
from whence.training.fit import fit

UNFLIPPED = {"flip": "none", "shift_flip": "shift"}
"""What is left of an augmentation that mirrors by chance."""


def fit_alternating(model: Classifier, *given: Any, **options: Any) -> None:
    """Train as ``fit`` does, with images mirrored in every other epoch.

    Raises:
        ValueError: if memories are drawn, whose images are seen at other times, too.
    """
    if model.has_memory and model.variant != "votes":  # votes learn by a linear layer
        raise ValueError("Images of a memory are not seen once an epoch; take another head.")
    with mock.patch.object(in_steps, "look_up_augmented", look_up_alternating):
        fit(model, *given, **options)


def look_up_alternating(
    images: Tensor, augmentation: str, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Return what looks images `(n, C, H, W)` up at places `(n,)`, and mirrors every other time."""
    augment = AUGMENTATIONS[UNFLIPPED[augmentation]]
    odd = torch.rand(len(images), generator=generator) < 0.5  # (N,)
    seen = torch.zeros(len(images), dtype=torch.int64)

    def look_up(places: Tensor) -> Tensor:
        mirrored = (seen[places] % 2 == 0) ^ odd[places]
        seen[places] += 1
        found: Tensor = augment(images[places], generator=generator)
        return torch.where(mirrored[:, None, None, None], found.flip(-1), found)

    return look_up
