"""The images that a command is asked about: files or test images, read as the model needs them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from whence.data.image_file import FileImage, read_files, read_readable
from whence.models.classifier import Classifier
from whence.runs.finished import read_run
from whence.runs.load_parts import load_part
from whence.runs.where import Where

SHARP = 448
"""Pixels of the longer side of an original: twice as many as are shown, for dense screens."""


class Asked(NamedTuple):
    """The images that a command is asked about."""

    images: Tensor  # (B, C, H, W) uint8
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]  # on all of them
    own_notes: list[tuple[str, ...]]
    unread: int = 0  # files that could not be read
    originals: tuple[Tensor | None, ...] = ()  # of files that the model sees at another size


def read_asked(paths: Sequence[Path], model: Classifier) -> Asked:
    """Read image files as the model needs them; of those that cannot be read a note is left.

    Raises:
        ValueError: if none can be read.
    """
    channels, height, width = model.image_shape
    found, problems = read_readable(paths, size=(height, width), channels=channels)
    if not found.files:
        raise problems[0]
    own = [note_file(file, height, width) for file in found.files]
    names = [str(file.path) for file in found.files]
    notes = (*found.shape_notes, *map(str, problems.values()))
    originals = tuple(read_original(file, model) for file in found.files)
    return Asked(found.images, names, [None] * len(names), notes, own, len(problems), originals)


def read_original(file: FileImage, model: Classifier) -> Tensor | None:
    """Read a file again, `(C, h, w)` uint8, as sharp as a page shows it.

    None where the model sees it at its own size.
    """
    channels, height, width = model.image_shape
    if (file.height, file.width) == (height, width):
        return None
    scale = min(1.0, SHARP / max(file.height, file.width))
    size = max(1, round(file.height * scale)), max(1, round(file.width * scale))
    return read_files([file.path], size=size, channels=channels).images[0]


def note_file(file: FileImage, height: int, width: int) -> tuple[str, ...]:
    """Say when a file was converted, made smaller or larger, or cropped for the model."""
    name = file.path.name
    notes = tuple(f"{name}: {change.clause}." for change in file.changes)
    if (file.height, file.width) == (height, width):
        return notes
    what = "it" if file.width * height == file.height * width else "its middle"
    size = f"{name} has {file.width} x {file.height} pixels; the model saw {what} at "
    return (*notes, f"{size}{width} x {height}.")


def report_unread(unread: int, total: int) -> int:
    """Say at the end of a command how many images could not be read.

    Returns:
        The exit code: 1 if there are any, else 0.
    """
    if unread:
        print(f"whence: {unread} of {total} images could not be read.", file=sys.stderr)
    return int(unread > 0)


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
