"""The images that a command is asked about: files or test images, read as the model needs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from whence.data.decode import ORIENTATION, list_conversions
from whence.data.image_file import read_images
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.runs.finished import read_run
from whence.runs.sample_of_run import load_run_data

TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


class Asked(NamedTuple):
    """The images that a command is asked about."""

    images: Tensor  # (B, C, H, W) uint8
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]  # on all of them
    own_notes: list[tuple[str, ...]]


def check_model(folder: Path, model: Classifier) -> None:
    """Refuse a model that has a head for a memory but no memory.

    Raises:
        ValueError: naming the way out.
    """
    if model.has_memory and model.bank is None:
        raise ValueError(
            f"{folder} holds a model without its memory; call model.remember(images) and save it "
            "again."
        )


def read_files(paths: Sequence[Path], model: Classifier) -> Asked:
    """Read image files as the model needs them."""
    channels, height, width = model.image_shape
    found = read_images(paths, size=(height, width), channels=channels)
    own = [note_file(path, height, width) for path in paths]
    return Asked(found.images, [str(p) for p in paths], [None] * len(paths), found.notes, own)


def note_file(path: Path, height: int, width: int) -> tuple[str, ...]:
    """Say when a file was converted, made smaller or larger, or cropped for the model."""
    with Image.open(path) as image:
        notes = tuple(f"{path.name}: {what}." for what in list_conversions(image))
        wide, high = image.size
        if image.getexif().get(ORIENTATION) in TURNED:
            wide, high = high, wide
    if (high, wide) == (height, width):
        return notes
    what = "it" if wide * height == high * width else "its middle"
    size = f"{path.name} has {wide} x {high} pixels; the model saw {what} at {width} x {height}."
    return (*notes, size)


def read_test(folder: Path, indices: Sequence[int]) -> Asked:
    """Take images of the run's own test set.

    Raises:
        ValueError: if an index is out of range, or the images are not there any more.
    """
    return take_test(load_run_data(folder, read_run(folder)), indices)


def take_test(dataset: Dataset, indices: Sequence[int]) -> Asked:
    """Take test images of a dataset that was loaded.

    Raises:
        ValueError: if an index is out of range.
    """
    total = len(dataset.test)
    for index in indices:
        if not 0 <= index < total:
            raise ValueError(f"test must be in 0 to {total - 1}, got {index}.")
    chosen = dataset.test.take(torch.tensor(indices))
    sources = chosen.sources or [None] * len(indices)
    names = [
        f"test image {index}" + (f", {source}" if source else "")
        for index, source in zip(indices, sources, strict=True)
    ]
    return Asked(chosen.images, names, chosen.labels.tolist(), (), [()] * len(indices))
