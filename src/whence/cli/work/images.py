"""The images that a command is asked about: files or test images, read as the model needs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from whence.data.image_file import FileImage, read_images
from whence.models.classifier import Classifier
from whence.runs.finished import read_run
from whence.runs.load_parts import load_part
from whence.runs.where import Where


class Asked(NamedTuple):
    """The images that a command is asked about."""

    images: Tensor  # (B, C, H, W) uint8
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]  # on all of them
    own_notes: list[tuple[str, ...]]


def read_files(paths: Sequence[Path], model: Classifier) -> Asked:
    """Read image files as the model needs them."""
    channels, height, width = model.image_shape
    found = read_images(paths, size=(height, width), channels=channels)
    own = [note_file(file, height, width) for file in found.files]
    names = [str(path) for path in paths]
    return Asked(found.images, names, [None] * len(names), found.channel_notes, own)


def note_file(file: FileImage, height: int, width: int) -> tuple[str, ...]:
    """Say when a file was converted, made smaller or larger, or cropped for the model."""
    name = file.path.name
    notes = tuple(f"{name}: {change.clause}." for change in file.changes)
    if (file.height, file.width) == (height, width):
        return notes
    what = "it" if file.width * height == file.height * width else "its middle"
    size = f"{name} has {file.width} x {file.height} pixels; the model saw {what} at "
    return (*notes, f"{size}{width} x {height}.")


def read_test(folder: Path, indices: Sequence[int], where: Where) -> Asked:
    """Take images of the run's own test set.

    Args:
        folder: of the run.
        indices: in its test set.
        where: the images are, and may be downloaded to.

    Raises:
        ValueError: if an index is out of range, or the images are not there any more.
    """
    test = load_part(folder, read_run(folder), "test", where=where)
    for index in indices:
        if not 0 <= index < len(test):
            raise ValueError(f"test must be in 0 to {len(test) - 1}, got {index}.")
    chosen = test.take(indices)
    sources = chosen.sources or [None] * len(indices)
    names = [
        f"test image {index}" + (f", {source}" if source else "")
        for index, source in zip(indices, sources, strict=True)
    ]
    return Asked(chosen.images, names, chosen.labels.tolist(), (), [()] * len(indices))
