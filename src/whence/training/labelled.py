"""Features with their classes, and how they are divided where there are no validation images."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.stratify import stratified
from whence.seeds import make_generator

HELD_OUT = 5
"""One image of so many is kept for choices where there are no validation images."""


class Labelled(NamedTuple):
    """Features and their classes."""

    features: Tensor  # (N, D)
    labels: Tensor  # (N,)

    def take(self, places: Tensor) -> "Labelled":
        """Return those at places `(n,)`, or where a mask `(N,)` is True."""
        return Labelled(self.features[places], self.labels[places])


def hold_out(train: Labelled, seed: int) -> tuple[Labelled, Labelled | None]:
    """Divide labelled features in four parts to train on and one to choose on, class by class.

    None in place of the second where no class has an image to spare.
    """
    labels = train.labels.cpu()
    spare = int((labels.bincount() - 1).clamp_min(0).sum())
    count = min(len(labels) // HELD_OUT, spare)
    if count == 0:
        return train, None
    kept = stratified(labels, count, generator=make_generator(seed)).to(train.labels.device)
    stays = torch.ones_like(train.labels, dtype=torch.bool)
    stays[kept] = False
    return train.take(stays), train.take(kept)
