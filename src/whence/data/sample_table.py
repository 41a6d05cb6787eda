"""Images that a model is measured on, or asked about, from a table of labels or a plain folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.folder import list_entries
from whence.data.image_file import read_files, read_readable
from whence.data.label_list import check_label_names, find_listed, note_unused_columns, read_splits
from whence.data.label_table import LabelTable, is_frame, is_table, read_label_table
from whence.data.names import (
    SUFFIXES,
    describe_no_image,
    find_path,
    list_images,
    note_left_out,
    read_name,
)
from whence.data.sample_classes import match_classes
from whence.records.images import ImageSet, Sample


class Unlabelled(NamedTuple):
    """Images whose classes are not known."""

    name: str
    images: Tensor  # (N, C, H, W) uint8
    sources: tuple[str, ...]  # below the folder
    notes: tuple[str, ...]


def load_sample_table(
    table: Any,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
) -> Sample:
    """Read the labelled images that a table names, as a model of these classes and shape sees them.

    Of a table with test images in its column of splits these are read, of others all.

    Arguments as for ``load_sample``; ``columns`` as for ``read_label_table``.
    """
    rows = read_label_table(table, columns)
    notes = note_unused_columns(rows)
    part_of = ["train"] * len(rows.paths) if rows.splits is None else read_splits(rows, tested=True)
    if "test" in part_of:
        kept = [place for place, part in enumerate(part_of) if part == "test"]
        if len(kept) < len(part_of):
            notes.append(
                f"Of {Path(rows.name).name}, the {len(kept):,} rows for the test are measured, not "
                f"the {len(part_of) - len(kept):,} others."
            )
        rows = take_rows(rows, kept)
    labels = rows.labels or []
    found = tuple(sorted(set(labels)))
    check_label_names(rows, found, least=1)
    labels_of = match_classes(rows.name, found, class_names, renamed)
    files = find_listed(rows, beginning_of(table))
    channels, height, width = image_shape
    paths = [find_path(files.root, one) for one in files.sources]
    read = read_files(paths, size=(height, width), channels=channels)
    numbers = torch.tensor([labels_of[one] for one in labels])
    images = ImageSet(read.images, numbers, tuple(class_names), tuple(files.sources))
    name = "frame" if is_frame(table) else Path(table).stem
    return Sample(name, images, (*notes, *read.notes))


def take_rows(rows: LabelTable, places: Sequence[int]) -> LabelTable:
    """Keep some rows of a table, without groups, splits and weights."""
    labels = rows.labels
    return LabelTable(
        rows.name,
        [rows.paths[place] for place in places],
        None if labels is None else [labels[place] for place in places],
        lines=[rows.lines[place] for place in places],
        unused=rows.unused,
    )


def beginning_of(table: Any) -> Path:
    """Return the folder at which the paths of a table begin."""
    return Path() if is_frame(table) else Path(table).expanduser().parent


def is_unlabelled(data: Any, columns: Mapping[str, str]) -> bool:
    """Say whether images have no labels: a folder of image files alone, or a table without labels.

    Raises:
        FileNotFoundError: if there is no such table.
        ValueError: if the table is not in order.
    """
    if is_table(data) or is_frame(data):
        if "label" in columns:
            return False
        return read_label_table(data, columns, unlabelled=True).labels is None
    root = Path(data).expanduser()
    if not root.is_dir():
        return False
    folders, files, _ = list_entries(root)
    return not folders and any(name.lower().endswith(SUFFIXES) for name in files)


def load_unlabelled(
    data: Any, image_shape: tuple[int, int, int], *, columns: Mapping[str, str]
) -> Unlabelled:
    """Read images without labels: those that a table names, or all in a folder and below.

    Of a folder, files that cannot be read are named and left out.

    Args:
        data: a table, or a folder.
        image_shape: (C, H, W) of the model.
        columns: of a table, by role.

    Raises:
        FileNotFoundError: if the data, or files of a table, are not there.
        ValueError: if there is no image, or a file of a table cannot be read.
    """
    channels, height, width = image_shape
    if is_table(data) or is_frame(data):
        rows = read_label_table(data, columns, unlabelled=True)
        files = find_listed(rows, beginning_of(data))
        paths = [find_path(files.root, one) for one in files.sources]
        read = read_files(paths, size=(height, width), channels=channels)
        name = "frame" if is_frame(data) else Path(data).stem
        return Unlabelled(name, read.images, tuple(files.sources), read.notes)
    root = Path(data).expanduser()
    paths = list_unlabelled(root)
    read, problems = read_readable(paths, size=(height, width), channels=channels)
    if not read.files:
        raise problems[0]
    sources = tuple(read_name(one.path.relative_to(root).as_posix()) for one in read.files)
    notes = (*note_left_out(root), *read.notes, *map(str, problems.values()))
    return Unlabelled(root.resolve().name, read.images, sources, notes)


def list_unlabelled(root: Path) -> list[Path]:
    """List the images in a folder and below.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} must be a folder of images, it is none.")
    paths = list_images(root)
    if not paths:
        raise ValueError(describe_no_image(root))
    return paths
