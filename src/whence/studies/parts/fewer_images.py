"""Fewer and smaller images, for what is measured with less than all of a set."""

from dataclasses import replace

from whence.data.resize import resize
from whence.data.stratify import stratified
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator


def shrink_images(dataset: Dataset, side: int) -> Dataset:
    """Bring all images to squares of a side."""
    train, test = (
        replace(part, images=resize(part.images, side)) for part in (dataset.train, dataset.test)
    )
    return replace(dataset, train=train, test=test)


def draw_part(images: ImageSet, count: int | None, seed: int) -> ImageSet:
    """Draw so many images, classes in proportion; all where there are no more."""
    if count is None or count >= len(images):
        return images
    generator = make_generator(seed)
    return images.take(stratified(images.labels, count, generator=generator, leave_one=False))
