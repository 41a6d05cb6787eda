"""Draws in which every class has the same share, however many images it has."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.shapes import check_shape


class ClassPlaces(NamedTuple):
    """Where the images of each class stand; classes without an image are left out."""

    order: Tensor  # (N,) int64 places, class by class
    counts: Tensor  # (P,) int64 images of each class, 1 or more
    first: Tensor  # (P,) int64 where the class begins in the order

    @classmethod
    def of(cls, labels: Tensor) -> "ClassPlaces":
        """Sort the places of images with labels `(N,)`, 0 or more, by class."""
        check_shape("labels", labels, "N")
        known = labels.cpu()
        counts = known.bincount()
        counts = counts[counts > 0]
        return cls(known.argsort(stable=True), counts, counts.cumsum(0) - counts)


def draw_alike(places: ClassPlaces, numbers: Tensor, *, generator: torch.Generator) -> Tensor:
    """Draw one image for each number, of the class whose turn it is: number modulo P.

    Over all numbers 0 .. N-1 every class is drawn equally often, up to one. Within its class every
    image has the same probability, each time anew.

    Args:
        places: of the classes.
        numbers: `(B,)` int64, 0 or more.
        generator: source of randomness, on the CPU.

    Returns:
        `(B,)` int64 places.
    """
    turn = numbers % len(places.counts)  # (B,)
    chance = torch.rand(len(numbers), generator=generator, dtype=torch.float64)
    return places.order[places.first[turn] + (chance * places.counts[turn]).long()]


def draw_memory_alike(
    places: ClassPlaces, memory_size: int, *, generator: torch.Generator
) -> Tensor:
    """Draw distinct images, as many of each class as the number allows.

    Classes differ by one image at most, but for those that have no more to give; which of them
    give one more is random.

    Args:
        places: of the classes of N images.
        memory_size: M, images to draw.
        generator: source of randomness, on the CPU.

    Returns:
        `(M,)` int64 places, distinct.

    Raises:
        ValueError: if M is below 1 or above N.
    """
    total = len(places.order)
    if not 1 <= memory_size <= total:
        raise ValueError(f"memory_size must be in 1 to {total}, got {memory_size}.")
    kind = torch.arange(len(places.counts)).repeat_interleave(places.counts)  # (N,)
    shuffled = torch.rand(total, generator=generator, dtype=torch.float64).argsort()
    shuffled = shuffled[kind[shuffled].argsort(stable=True)]  # within each class
    rank = torch.arange(total) - places.first[kind]  # of the image in its class, from 0
    chance = torch.rand(total, generator=generator, dtype=torch.float64)
    return places.order[shuffled[(rank + chance).argsort()[:memory_size]]]


def weigh_classes(labels: Tensor, classes: int) -> Tensor:
    """Weigh images so that the classes that have some count alike, and an image 1 on average.

    Args:
        labels: `(N,)` int64, 0 or more.
        classes: K.

    Returns:
        `(K,)` float32, N / (P n) for each of P classes with n images; 0 for the others.

    >>> weigh_classes(torch.tensor([0, 0, 0, 2]), 3)
    tensor([0.6667, 0.0000, 2.0000])
    """
    counts = labels.bincount(minlength=classes).double()
    weights = len(labels) / ((counts > 0).sum() * counts)
    return torch.where(counts > 0, weights, 0).float()
