"""Labelled images that a model is measured on: all of a folder or table, nothing is divided."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from whence.data.folder import check_is_folder, list_class, list_entries, note_unused
from whence.data.image_file import read_files
from whence.data.label_table import NO_COLUMNS, is_frame, is_table
from whence.data.names import SUFFIXES, find_path
from whence.data.sample_classes import match_classes
from whence.data.sample_table import load_sample_table
from whence.kinds import check_arguments, check_kind
from whence.records.images import ImageSet, Sample
from whence.records.labels import NAMED

SAME_NAMES: Mapping[str, str] = MappingProxyType({})
MEASURED_FIRST = ("test", "train")
"""Folders of a folder that is divided already; the first that is there is measured."""


@check_arguments
def load_sample(
    path: str | Path | Any,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    renamed: Mapping[str, str] = SAME_NAMES,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> Sample:
    """Read all labelled images of a folder, as a model of these classes and this shape sees them.

    A table of labels, or a frame of pandas, is read as ``load_dataset`` reads it: of one with test
    images in its column of splits these, of others all. A folder holds `<class>/*`, for some of the
    classes or all, or `test/<class>/*`, of which the images in ``test`` are read, or
    `train/<class>/*` alone.

    Args:
        path: the folder, or a table; ``sources`` are relative to it, with forward slashes.
        class_names: of the model, in the order of its labels.
        image_shape: (C, H, W) of the model; images are resized to cover it, then cropped.
        renamed: class folders that are called otherwise than the class: the folder's name to the
            class; several folders may be of one class.
        columns: of a table, the names of its columns by what they say.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no class folder, one of another name, or no image, or if a file
            cannot be read as an image.
    """
    if is_table(path) or is_frame(path):
        return load_sample_table(path, class_names, image_shape, renamed=renamed, columns=columns)
    check_kind("path", path, (str, Path))
    root = Path(path).expanduser()
    check_is_folder(root)
    below, notes = choose_part(root)
    folders, loose, others = list_entries(find_path(root, below))
    if not folders:
        raise ValueError(refuse_unlabelled(root / below, loose))
    labels_of = match_classes(str(root / below), folders, class_names, renamed)
    unused = [below + name for name in loose + others]
    sources: list[str] = []
    labels: list[int] = []
    for folder in folders:
        names, others = list_class(root, f"{below}{folder}/")
        sources += names
        labels += [labels_of[folder]] * len(names)
        unused += others
    if not sources:
        raise ValueError(f"{root / below} must hold images in its class folders, it holds none.")
    notes += note_unused(unused)
    channels, height, width = image_shape
    paths = [find_path(root, name) for name in sources]
    read = read_files(paths, size=(height, width), channels=channels)
    images = ImageSet(read.images, torch.tensor(labels), tuple(class_names), tuple(sources))
    return Sample(root.resolve().name, images, (*notes, *read.notes))


def choose_part(root: Path) -> tuple[str, list[str]]:
    """Choose what is read of a folder: ``test/``, ``train/``, or all of it.

    Returns:
        The part, with a slash, or nothing; and a sentence on what was left out, if anything was.
    """
    folders = list_entries(root).folders
    found = [
        name for name in MEASURED_FIRST if name in folders and list_entries(root / name).folders
    ]
    if not found:
        return "", []
    part = found[0]
    rest = [f"{name}/" for name in folders if name != part]
    if not rest:
        return f"{part}/", []
    return f"{part}/", [f"Of {root.name}, {part}/ is measured, not {', '.join(rest[:NAMED])}."]


def refuse_unlabelled(folder: Path, loose: Sequence[str]) -> str:
    """Say why a folder without class folders cannot be measured."""
    images = sum(name.lower().endswith(SUFFIXES) for name in loose)
    found = f"{images:,} images without labels" if images else "no folder"
    return (
        f"{folder} must hold one folder of images per class, it holds {found}; put the images of "
        "each class into a folder named after it, or ask for answers alone with: whence predict"
    )


def take_classes(
    images: ImageSet,
    class_names: Sequence[str],
    *,
    where: str,
    renamed: Mapping[str, str] = SAME_NAMES,
) -> ImageSet:
    """Give images the labels of a model's classes, which are found by their names.

    Args:
        images: labelled by classes of their own, of which some may be without images.
        class_names: of the model, in the order of its labels.
        where: the images come from, for messages.
        renamed: names that differ: the images' to the model's.

    Raises:
        ValueError: if a class is not one of the model's.
    """
    labels_of = match_classes(where, images.class_names, class_names, renamed)
    table = torch.tensor([labels_of[name] for name in images.class_names])
    labels = table[images.labels.cpu()].to(images.labels.device)
    return replace(images, labels=labels, class_names=tuple(class_names))
