"""Labelled images from a folder with one folder per class."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from whence.data.draw_test import draw_test
from whence.data.image_file import read_files
from whence.data.label_table import TABLE_ENDINGS
from whence.data.names import SUFFIXES, compose, find_path, is_hidden, read_name, say_other_endings
from whence.data.overlap import overlap_notes
from whence.messages import quote
from whence.records.images import Dataset, ImageSet, Marks

SHEETS = (".xlsx", ".xls", ".ods")
"""Endings of files that people keep labels in, and that are not read."""

VALIDATION_FOLDERS = ("val", "validation")
"""Folders that hold validation images, beside ``train/``."""

MOST_CLASS_FOLDERS = 1000


def image_folder(
    path: Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
    seed: int = 0,
    whole: bool = False,
) -> Dataset:
    """Read ``train/<class>/*`` and ``test/<class>/*``, or ``<class>/*`` and divide it.

    A folder without ``test/`` gives 20 % of its images to the test, stratified, at least one of
    every class to each side. Images in ``val/<class>/*``, beside ``train/``, are for the
    validation. ``test/`` and ``val/`` may lack classes. Classes and files are sorted by name.

    Args:
        path: the folder; ``sources`` are relative to it, with forward slashes.
        size: pixels of a side, made by resizing the shorter side and cropping the centre; None
            keeps the size if all images agree and are at most 96 pixels, else makes squares of
            ``default_large_size`` pixels.
        channels: 1 or 3; None is 1 if all images are grey, else 3.
        default_large_size: pixels of a side of these squares.
        seed: the draw of test images from a folder without ``test/``.
        whole: draw none from such a folder; the test set is empty.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the folder is not of that form, or a file is not readable as an image.
    """
    path = Path(path).expanduser()
    check_is_folder(path)
    notes: list[str] = []
    learnt, validated, tested = _parts(path, notes)
    class_names, marks = learnt.class_names, Marks()
    if tested is None and whole:
        tested = _Part(class_names)
    elif tested is None:
        total = len(learnt.sources)
        learnt, tested = _divide(path, learnt, seed)
        drawn = len(tested.sources)
        notes.append(f"{drawn:,} of {total:,} images were drawn for the test, with seed {seed}.")
    if validated is not None:
        first = len(learnt.sources)
        marks = Marks(validation=torch.arange(first, first + len(validated.sources)))
        learnt = _join(learnt, validated)
    parts = (learnt, tested)
    counts = [len(part.sources) for part in parts]
    sources = [source for part in parts for source in part.sources]
    read = read_files(
        [find_path(path, source) for source in sources],
        size=size,
        channels=channels,
        default_large_size=default_large_size,
    )
    train, test = (
        ImageSet(
            images, torch.tensor(part.labels, dtype=torch.int64), class_names, tuple(part.sources)
        )
        for images, part in zip(torch.split(read.images, counts), parts, strict=True)
    )
    notes += [*read.notes, *overlap_notes(train, test)]
    return Dataset(path.resolve().name, train, test, tuple(notes), marks)


def check_is_folder(path: Path) -> None:
    """Refuse a path that leads to nothing, or to a file.

    Raises:
        FileNotFoundError: if nothing is there.
        ValueError: if it is a file.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"path must be a folder with one folder of images per class, there is no {path}."
        )
    if not path.is_dir() and path.suffix.lower() in SHEETS:
        raise ValueError(
            f"path must be a folder with one folder of images per class, or a table of labels as "
            f"text ({', '.join(TABLE_ENDINGS)}), {path} is a spreadsheet; save it as CSV."
        )
    if not path.is_dir():
        raise ValueError(
            f"path must be a folder with one folder of images per class, {path} is a file; "
            "give the folder that holds the folders of the classes."
        )


@dataclass
class _Part:
    """The files of ``train``, of ``test``, or of a folder that has neither."""

    class_names: tuple[str, ...] = ()
    sources: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


def _join(one: _Part, other: _Part) -> _Part:
    return _Part(one.class_names, one.sources + other.sources, one.labels + other.labels)


def _parts(root: Path, notes: list[str]) -> tuple[_Part, _Part | None, _Part | None]:
    """List the files to learn from, to validate on and to test on; note what lies there unused."""
    folders = list_entries(root).folders
    unused: list[str] = []
    divided = [name for name in ("train", "test") if name in folders]
    if not any(list_entries(root / name).folders for name in divided):
        found = _list(root, "", unused)
        notes += note_unused(unused)
        return found, None, None
    if "train" not in folders:
        raise ValueError(
            f"{root} must hold a folder train beside its folder test, it holds none; "
            "put the class folders of the training images into train."
        )
    train, others = _list(root, "train/", unused), dict[str, _Part]()
    kept = [name for name in VALIDATION_FOLDERS if name in folders]
    if len(kept) > 1:
        raise ValueError(
            f"{root} must hold one folder of validation images, it holds {' and '.join(kept)}; "
            "put what they hold into one."
        )
    for name in kept + divided[divided.index("train") + 1 :]:
        part = _list(root, f"{name}/", unused, least=1)
        others[name] = _label_as(root, name, train, part)
    names = {"train", *others}
    notes += note_unused([*(f"{name}/" for name in folders if name not in names), *unused])
    return train, others.get(kept[0]) if kept else None, others.get("test")


def _list(root: Path, below: str, unused: list[str], *, least: int = 2) -> _Part:
    """List the class folders, ``least`` or more, and image files in ``root / below``."""
    folder = find_path(root, below)
    class_names, loose, others = list_entries(folder)
    unused += [below + name for name in loose + others]
    if len(class_names) < least:
        found = f"only {quote(class_names[0])}" if class_names else "no folder"
        raise ValueError(
            f"{folder} must hold one folder of images per class, for at least two classes, "
            f"it holds {found}; put the images of each class into a folder named after it."
        )
    if len(class_names) > MOST_CLASS_FOLDERS:
        raise ValueError(
            f"{folder} must hold at most {MOST_CLASS_FOLDERS} class folders, it holds "
            f"{len(class_names)}; put the images of each class into one folder."
        )
    part = _Part(tuple(class_names))
    for label, name in enumerate(class_names):
        images, other = list_class(root, f"{below}{name}/")
        if not images:
            first = other[0].removeprefix(f"{below}{name}/") if other else ""
            found = f"only {quote(first)}" if other else "nothing"
            if len(other) > 1:
                found = f"{len(other)} other things (first: {quote(first)})"
            raise ValueError(
                f"Class folder {folder / name} must hold image files, it holds {found}; "
                "add images to it or remove it."
            )
        part.sources += images
        part.labels += [label] * len(images)
        unused += other
    return part


def _divide(root: Path, part: _Part, seed: int) -> tuple[_Part, _Part]:
    """Draw the test images of a folder that has no ``test/``."""
    labels = torch.tensor(part.labels)
    drawn = set(draw_test(labels, part.class_names, str(root), seed=seed).tolist())
    places = [
        [place for place in range(len(labels)) if (place in drawn) == test]
        for test in (False, True)
    ]
    train, test = (
        _Part(
            part.class_names,
            [part.sources[position] for position in positions],
            [part.labels[position] for position in positions],
        )
        for positions in places
    )
    return train, test


def _label_as(root: Path, name: str, train: _Part, other: _Part) -> _Part:
    """Label a part by the classes of the training images, of which it may lack some."""
    labels = {compose(one): label for label, one in enumerate(train.class_names)}
    added = sorted({compose(one) for one in other.class_names} - labels.keys())
    if added:
        missing = sorted(labels.keys() - {compose(one) for one in other.class_names})
        differences = [f"lacks {', '.join(missing)}"] if missing else []
        differences.append(f"adds {', '.join(added)}")
        raise ValueError(
            f"{root / name} must have the class folders of {root / 'train'}, it "
            f"{' and '.join(differences)}; give both the same folders."
        )
    known = [labels[compose(one)] for one in other.class_names]
    return _Part(train.class_names, other.sources, [known[label] for label in other.labels])


def list_class(root: Path, folder: str) -> tuple[list[str], list[str]]:
    """List the image files in ``root / folder``, and what else lies there, below ``root``.

    Args:
        root: of the dataset.
        folder: of one class, below ``root``, with a slash at its end.
    """
    inner, files, others = list_entries(find_path(root, folder))
    images = [name for name in files if name.lower().endswith(SUFFIXES)]
    others += [name for name in files if not name.lower().endswith(SUFFIXES)]
    others += [f"{name}/" for name in inner]
    return [folder + name for name in images], [folder + name for name in others]


def note_unused(unused: Sequence[str]) -> list[str]:
    """Say what lies in a folder that is no image in a class folder, if anything does."""
    named = [name.endswith(("/", *SUFFIXES)) for name in map(str.lower, unused)]
    misplaced = list(itertools.compress(unused, named))
    others = [name for name, known in zip(unused, named, strict=True) if not known]
    notes: list[str] = []
    if misplaced:
        verb = "is" if len(misplaced) == 1 else f"and {len(misplaced) - 1} more are"
        notes.append(f"{misplaced[0]} {verb} not used: not an image in a class folder.")
    if others:
        notes.append(f"Of the folder, {say_other_endings(others)}.")
    return notes


class Entries(NamedTuple):
    """Names of what lies in a folder, sorted, without what operating systems leave there."""

    folders: list[str]
    files: list[str]  # and links that lead nowhere
    others: list[str]  # pipes, sockets and devices


def list_entries(folder: Path) -> Entries:
    """List what lies in a folder.

    Raises:
        ValueError: if two folders have names that look the same.
    """
    found = Entries([], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                kind = found.others
                if entry.is_dir():
                    kind = found.folders
                elif entry.is_file() or entry.is_symlink():
                    kind = found.files
                kind.append(read_name(entry.name))
    for names in found:
        names.sort(key=compose)
    for name, following in itertools.pairwise(map(compose, found.folders)):
        if name == following:
            raise ValueError(
                f"{folder} holds two folders {quote(name)}, one with composed characters and one "
                "without; put what they hold into one folder."
            )
    return found
