"""Fewer and smaller images, for what is measured with less than all of a set."""

from dataclasses import replace

import torch

from whence.data.resize import resize
from whence.data.stratify import stratified
from whence.records.images import Dataset, ImageSet


def shrink_images(dataset: Dataset, side: int) -> Dataset:
    """Bring all images to squares of a side."""
    train, test = (
        replace(part, images=resize(part.images, side)) for part in (dataset.train, dataset.test)
    )
    return replace(dataset, train=train, test=test)


def draw_part(images: ImageSet, count: int | None, generator: torch.Generator) -> ImageSet:
    """Draw so many images, classes in proportion; all, as they are, where there are no more."""
    if count is None or count >= len(images):
        return images
    return draw_mixed(images, count, generator)


def draw_mixed(images: ImageSet, count: int | None, generator: torch.Generator) -> ImageSet:
    """Draw at most so many images in random order, classes in proportion."""
    total = len(images) if count is None else min(count, len(images))
    return images.take(stratified(images.labels, total, generator=generator, leave_one=False))
