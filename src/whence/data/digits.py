"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8 x 8 pixels."""

from pathlib import Path

import torch

from whence.data.stratify import stratified
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator

TEST_EXAMPLES = 500
HIGHEST = 16
"""The largest value of a pixel in scikit-learn's arrays."""


def digits(root: Path, *, download: bool = True) -> Dataset:
    """Load the digits, values 0 .. 16 stretched to 0 .. 255, always divided in the same way.

    Args:
        root: taken for the sake of the other datasets, changes nothing.
        download: changes nothing either; the images come with scikit-learn.

    Returns:
        Images `(1297, 1, 8, 8)` and `(500, 1, 8, 8)` uint8, each class in proportion.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    values = torch.from_numpy(bunch.images)  # (1797, 8, 8) float64
    images = (values * 255 / HIGHEST).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(bunch.target).long()
    everything = ImageSet(images, labels, tuple(str(name) for name in bunch.target_names))
    tested = torch.zeros(len(labels), dtype=torch.bool)
    generator = make_generator(0)
    tested[stratified(labels, TEST_EXAMPLES, generator=generator)] = True
    train, test = (everything.take(part.nonzero().flatten()) for part in (~tested, tested))
    return Dataset("digits", train, test)
