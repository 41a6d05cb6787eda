"""The images of a training are divided as its settings say."""

from typing import TYPE_CHECKING

from whence.data.split import Split, split
from whence.records.images import Dataset

if TYPE_CHECKING:
    from whence.runs.settings import Settings
    from whence.runs.vae_settings import VAESettings


def divide(dataset: Dataset, settings: "Settings | VAESettings") -> Split:
    """Divide the training images into those trained on and those validated on.

    Raises:
        ValueError: if there are too few images for what the settings ask.
    """
    marks = dataset.marks
    found = split(
        dataset.train.labels if marks.first_labels is None else marks.first_labels,
        seed=settings.seed,
        train_examples=settings.train_examples,
        validation_examples=settings.validation_examples,
        marks=marks,
        class_names=dataset.train.class_names,
    )
    if marks.removed is None:
        return found
    return Split(*(places[~marks.removed[places]] for places in (found.train, found.validation)))
