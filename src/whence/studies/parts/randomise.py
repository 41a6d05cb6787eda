"""Labels and pixels that are replaced by random ones, in part or all of them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.records.images import Dataset
from whence.shapes import check_shape


class RandomisedData(NamedTuple):
    """What a learner gets: pixels as floats, each image with mean 0 and deviation 1."""

    images: Tensor  # (N, C, H, W)
    labels: Tensor  # (N,) maybe random
    test_images: Tensor  # (T, C, H, W)
    test_labels: Tensor  # (T,) the true ones


def corrupt_labels(
    labels: Tensor, share: float, classes: int, *, generator: torch.Generator
) -> Tensor:
    """Replace each label, with a probability, by a class drawn uniformly.

    Zhang et al. (2017), section 2.1. The class that is drawn may be the true one, so that of ten
    classes nine tenths of the replaced labels are wrong.

    Args:
        labels: `(N,)`.
        share: the probability, in [0, 1].
        classes: K.
        generator: on the CPU.
    """
    total = check_shape("labels", labels, "N")["N"]
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}.")
    replaced = torch.rand(total, generator=generator) < share
    drawn = torch.randint(classes, (total,), generator=generator)
    return torch.where(replaced, drawn, labels.cpu()).to(labels.device)


def keep_pixels(
    images: Tensor, test_images: Tensor, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Leave all images as they are, and draw nothing."""
    return images, test_images


def shuffle_pixels(
    images: Tensor, test_images: Tensor, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Put the pixels of all images `(N, C, H, W)` into one random order, the same for all."""
    order = torch.randperm(images[0, 0].numel(), generator=generator)
    first, second = (one.flatten(2)[..., order].view_as(one) for one in (images, test_images))
    return first, second


def scatter_pixels(
    images: Tensor, test_images: Tensor, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Put the pixels of each image `(C, H, W)` into a random order of its own."""
    found = []
    for part in (images, test_images):
        flat = part.flatten(2)  # (N, C, H W)
        order = torch.rand(len(flat), flat.shape[2], generator=generator).argsort(1)
        places = order[:, None].expand_as(flat).to(part.device)
        found.append(flat.gather(2, places).view_as(part))
    return found[0], found[1]


def draw_gaussian_pixels(
    images: Tensor, test_images: Tensor, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw all pixels from a Gaussian, with the mean and deviation of each channel of the images.

    They are not cut to [0, 1].
    """
    middle = images.mean((0, 2, 3), keepdim=True)  # (1, C, 1, 1)
    width = images.std((0, 2, 3), keepdim=True)
    drawn = [torch.randn(one.shape, generator=generator) for one in (images, test_images)]
    first, second = (middle + width * one.to(images.device) for one in drawn)
    return first, second


PixelChange = Callable[..., tuple[Tensor, Tensor]]

PIXEL_CHANGES: Mapping[str, PixelChange] = MappingProxyType(
    {
        "as they are": keep_pixels,
        "shuffled": shuffle_pixels,
        "random": scatter_pixels,
        "Gaussian": draw_gaussian_pixels,
    }
)
"""What happens to pixels, by name: ``change(images, test_images, generator=generator)``."""


def randomise_data(
    dataset: Dataset, pixels: str, share: float, *, generator: torch.Generator
) -> RandomisedData:
    """Make what a learner gets: pixels changed, a share of the training labels random.

    Args:
        dataset: the true images and labels.
        pixels: in ``PIXEL_CHANGES``.
        share: of the training labels that are drawn; those of the test images stay.
        generator: on the CPU.
    """
    images, test_images = (to_float(one.images) for one in (dataset.train, dataset.test))
    images, test_images = PIXEL_CHANGES[pixels](images, test_images, generator=generator)
    classes = len(dataset.train.class_names)
    labels = corrupt_labels(dataset.train.labels, share, classes, generator=generator)
    return RandomisedData(
        whiten_images(images), labels, whiten_images(test_images), dataset.test.labels
    )


def whiten_images(images: Tensor) -> Tensor:
    """Bring each image `(C, H, W)` to mean 0 and deviation 1, as the publication does.

    An image of one colour becomes all 0.
    """
    flat = images.flatten(1)
    least = flat.shape[1] ** -0.5  # as TensorFlow's per_image_standardization
    widths = flat.std(1, correction=0, keepdim=True).clamp_min(least)  # (N, 1)
    return ((flat - flat.mean(1, keepdim=True)) / widths).view_as(images)
