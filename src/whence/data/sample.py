"""Labelled images that a model is measured on: all of a folder, nothing is divided."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import torch

from whence.data.folder import check_is_folder, list_class, list_entries, note_unused
from whence.data.image_file import read_files
from whence.data.names import SUFFIXES, compose, find_path
from whence.messages import quote, shorten_text
from whence.records.images import ImageSet, Sample
from whence.records.labels import NAMED, list_names

SAME_NAMES: Mapping[str, str] = MappingProxyType({})
MEASURED_FIRST = ("test", "train")
"""Folders of a folder that is divided already; the first that is there is measured."""


def load_sample(
    path: str | Path,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    renamed: Mapping[str, str] = SAME_NAMES,
) -> Sample:
    """Read all labelled images of a folder, as a model of these classes and this shape sees them.

    The folder holds `<class>/*`, for some of the classes or all, or `test/<class>/*`, of which the
    images in ``test`` are read, or `train/<class>/*` alone.

    Args:
        path: the folder; ``sources`` are relative to it, with forward slashes.
        class_names: of the model, in the order of its labels.
        image_shape: (C, H, W) of the model; images are resized to cover it, then cropped.
        renamed: class folders that are called otherwise than the class: the folder's name to the
            class; several folders may be of one class.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no class folder, one of another name, or no image, or if a file
            cannot be read as an image.
    """
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


def match_classes(
    where: str, found: Sequence[str], class_names: Sequence[str], renamed: Mapping[str, str]
) -> dict[str, int]:
    """Find the label of each class that was found, by its name or by the name it is mapped to.

    Names are compared as they are read, whether an umlaut is one character or two.

    Args:
        where: they were found, for messages.
        found: names.
        class_names: of the model.
        renamed: names that were found to names of the model.

    Raises:
        ValueError: if a name is not one of the model's, or a name to be mapped was not found.
    """
    labels = {compose(name): label for label, name in enumerate(class_names)}
    mapped = {compose(name): compose(new) for name, new in renamed.items()}
    for name, new in mapped.items():
        if name not in map(compose, found):
            raise ValueError(
                f"map must name classes of {where} ({list_names(found)}), got {quote(name)}."
            )
        if new not in labels:
            raise ValueError(
                f"map must lead to classes of the model ({list_names(class_names)}), got "
                f"{quote(new)}."
            )
    wanted = {name: mapped.get(compose(name), compose(name)) for name in found}
    unknown = [name for name, new in wanted.items() if new not in labels]
    if unknown:
        raise ValueError(
            f"{where} must have the classes of the model ({list_names(class_names)}), got "
            f"{list_names(unknown)}; say which is which with --map {shorten_text(unknown[0])}="
            f"{class_names[0]}, or take it out."
        )
    return {name: labels[new] for name, new in wanted.items()}
