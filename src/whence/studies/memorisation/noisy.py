"""Training images of which some have random pixels or random labels; the others stay."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.messages import quote
from whence.records.images import Dataset
from whence.studies.parts.randomise import (
    RandomisedData,
    corrupt_labels,
    draw_gaussian_pixels,
    whiten_images,
)

NOISY_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "real": "the images and labels as they are",
        "randX": "pixels drawn from a Gaussian, labels as they are",
        "randY": "images as they are, labels drawn uniformly",
    }
)
"""Kinds of data by their name in the publication, and what they are."""


def make_noisy(
    dataset: Dataset, kind: str, share: float, *, generator: torch.Generator
) -> RandomisedData:
    """Replace the pixels or labels of a share of the training images; the test images stay.

    Args:
        dataset: the true images and labels.
        kind: in ``NOISY_KINDS``.
        share: of the training images, in [0, 1]; of "real" data 0.
        generator: on the CPU.

    Raises:
        ValueError: if a share of real data is to be replaced, or the kind is unknown.
    """
    images, tests = (to_float(one.images) for one in (dataset.train, dataset.test))
    labels = dataset.train.labels
    if kind not in NOISY_KINDS or (kind == "real" and share):
        raise ValueError(f"kind must be randX or randY where share is above 0, got {quote(kind)}.")
    if kind == "randX":
        drawn, _ = draw_gaussian_pixels(images, tests[:1], generator=generator)
        replaced = torch.rand(len(images), generator=generator) < share
        images = torch.where(replaced.to(images.device)[:, None, None, None], drawn, images)
    if kind == "randY":
        labels = corrupt_labels(labels, share, len(dataset.train.class_names), generator=generator)
    return RandomisedData(whiten_images(images), labels, whiten_images(tests), dataset.test.labels)


def number_images(data: RandomisedData) -> RandomisedData:
    """Give each training image a class of its own; the test images are then without meaning."""
    own: Tensor = torch.arange(len(data.images), device=data.labels.device)
    return data._replace(labels=own)
