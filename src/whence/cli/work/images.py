"""The images that a command is asked about: files or test images, read as the model needs them."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jsonargparse import Namespace
from torch import Tensor

from whence.cli.options import read_where
from whence.cli.plain_text import print_note
from whence.data import DATASETS
from whence.data.image_file import FileImage, read_files, read_readable
from whence.data.label_list import find_list_root
from whence.data.label_table import is_table
from whence.data.load import load_dataset
from whence.data.names import find_path
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.runs.finished import read_run, read_settings
from whence.runs.images import load_or_download
from whence.runs.load_parts import load_part, take_tested
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


def read_images_asked(
    options: Namespace, paths: Sequence[Path], model: Classifier, notes: Sequence[str] = ()
) -> Asked:
    """Read the images that a command is asked about, and print what is noted of them.

    Args:
        options: of the command: the run, and images of its test set if there are no files.
        paths: of files.
        model: of the run.
        notes: that are printed before.

    Raises:
        ValueError: if no file can be read, or there is no such test image.
    """
    if options.test:
        asked = read_test(Path(options.run), options.test, read_where(options), model)
    else:
        asked = read_asked(paths, model)
    for note in (*notes, *asked.notes, *(note for some in asked.own_notes for note in some)):
        print_note(note)
    return asked


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


def read_test(folder: Path, indices: Sequence[int], where: Where, model: Classifier) -> Asked:
    """Take images of the run's own test set.

    Args:
        folder: of the run.
        indices: in its test set.
        where: the images are, and may be downloaded to.
        model: of the run.

    Raises:
        ValueError: if an index is out of range, or the images are not there any more.
    """
    test = load_part(folder, read_run(folder), "test", where=where)
    chosen = take_tested(test, indices)
    sources = chosen.sources or [None] * len(indices)
    names = [
        f"test image {index}" + (f", {source}" if source else "")
        for index, source in zip(indices, sources, strict=True)
    ]
    settings = read_settings(folder)
    originals = read_originals(
        test,
        indices,
        settings.data,
        where,
        model,
        known=settings.data_root,
        columns=settings.columns,
    )
    own: list[tuple[str, ...]] = [()] * len(indices)
    return Asked(chosen.images, names, chosen.labels.tolist(), (), own, originals=tuple(originals))


def read_originals(
    images: ImageSet,
    places: Sequence[int],
    data: str,
    where: Where,
    model: Classifier,
    *,
    known: str,
    columns: Mapping[str, str],
) -> list[Tensor | None]:
    """Read a few images once more, `(C, h, w)` uint8 each, as sharp as a page shows them.

    Args:
        images: as the model sees them; the test images of a dataset, or those of a folder.
        places: which of them.
        data: a dataset's name, the folder that their sources are below, or the table of them.
        where: the images are.
        model: that they were read for.
        known: where the files of a named dataset are if ``where`` does not say.
        columns: of a table of labels, by what they say.

    Returns:
        For each its original; None where the model sees it at its own size.
    """
    if not places:
        return []
    chosen = images.take(places)
    if data in DATASETS:
        whole = load_or_download(partial(load_dataset, data), where, known=known).test.images
        if whole.shape[2:] == images.images.shape[2:] or len(whole) != len(images):
            return [None] * len(places)
        return list(whole[list(places)])
    if chosen.sources is None:
        return [None] * len(places)
    root = Path(data).expanduser() if where.root is None else where.root
    if where.root is None and is_table(root):
        root = find_list_root(root, columns)
    channels, height, width = model.image_shape
    paths = [find_path(root, source) for source in chosen.sources]
    return [
        read_original(file, model)
        for file in read_files(paths, size=(height, width), channels=channels).files
    ]
