"""Labelled images from a table of files: a CSV file, or a frame of pandas."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.draw_test import draw_test
from whence.data.group_draw import number_groups
from whence.data.image_file import read_files
from whence.data.label_table import NO_COLUMNS, LabelTable, is_frame, read_label_table
from whence.data.names import compose, find_path
from whence.data.overlap import overlap_notes
from whence.messages import quote
from whence.records.images import Dataset, ImageSet, Marks
from whence.records.labels import find_problem_of_names, list_names

SPLITS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "testing": "test",
}
"""What a column of splits may say, in any case, and the part that it means."""

NAMED_MISSING = 3
"""Missing files that a message names."""


class ListedFiles(NamedTuple):
    """The files of a table, found."""

    root: Path  # the folder that all of them are below
    sources: list[str]  # below it, with forward slashes


def label_list(
    table: Any,
    *,
    columns: Mapping[str, str] = NO_COLUMNS,
    size: int | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
    seed: int = 0,
    whole: bool = False,
) -> Dataset:
    """Read the images that a table names, with their labels, groups, splits and weights.

    Where no row is for the test, 20 % are drawn as from a folder; of a table with groups, whole
    groups that hold about as many. Classes are sorted by name.

    Args:
        table: a .csv or .tsv file, whose paths begin at its folder; or a frame of pandas, whose
            paths begin at the current one.
        columns: names of columns by role, as in ``read_label_table``.
        size: as in ``image_folder``.
        channels: as in ``image_folder``.
        default_large_size: as in ``image_folder``.
        seed: the draw of test images.
        whole: draw none; the test set is empty where no row is for it.

    Raises:
        FileNotFoundError: if the table, or files that it names, are not there.
        ValueError: if the table is not in order, or a file is not readable as an image.
    """
    rows = read_label_table(table, columns)
    notes = note_rows(rows)
    class_names = tuple(sorted({*(rows.labels or ())}, key=compose))
    check_label_names(rows, class_names)
    place_of = {name: place for place, name in enumerate(class_names)}
    labels = torch.tensor([place_of[one] for one in rows.labels or ()])
    part_of = read_splits(rows)  # (N,)
    groups = None if rows.groups is None else number_groups(rows.groups)
    files = find_listed(rows, Path() if is_frame(table) else Path(table).expanduser().parent)
    if whole or "test" in part_of:
        tested = torch.tensor([one == "test" for one in part_of])
    else:
        tested, note = draw_tested(rows, labels, groups, part_of, class_names, seed=seed)
        notes.append(note)
    if groups is not None and rows.groups is not None:
        notes += note_divided(rows.groups, part_of if "test" in part_of else None, tested)
    read = read_files(
        [find_path(files.root, one) for one in files.sources],
        size=size,
        channels=channels,
        default_large_size=default_large_size,
    )
    all_images = ImageSet(read.images, labels, class_names, tuple(files.sources))
    learnt = (~tested).nonzero().flatten()
    train, test = (all_images.take(places) for places in (learnt, tested.nonzero().flatten()))
    marks = mark_rows(rows, part_of, groups, learnt)
    notes += [*read.notes, *overlap_notes(train, test)]
    name = "frame" if is_frame(table) else Path(table).stem
    return Dataset(name, train, test, tuple(notes), marks)


def draw_tested(
    rows: LabelTable,
    labels: Tensor,
    groups: Tensor | None,
    part_of: Sequence[str],
    class_names: tuple[str, ...],
    *,
    seed: int,
) -> tuple[Tensor, str]:
    """Draw the test images of a table that names none, from those that are not for the validation.

    Returns:
        `(N,)` bool, and a sentence on the draw.
    """
    free = torch.tensor([one != "validation" for one in part_of]).nonzero().flatten()
    own_groups = None if groups is None else groups[free]
    drawn = draw_test(labels[free], class_names, rows.name, groups=own_groups, seed=seed)
    tested = torch.zeros(len(labels), dtype=torch.bool)
    tested[free[drawn]] = True
    whole_groups = ""
    if own_groups is not None:
        count = len(own_groups[drawn].unique())
        whole_groups = f": {count:,} of {len(own_groups.unique()):,} groups"
    note = (
        f"{len(drawn):,} of {len(labels):,} images were drawn for the test, with seed "
        f"{seed}{whole_groups}."
    )
    return tested, note


def mark_rows(
    rows: LabelTable, part_of: Sequence[str], groups: Tensor | None, learnt: Tensor
) -> Marks:
    """Keep what a table says of its training images, at the rows ``learnt`` `(n,)`."""
    validated = torch.tensor([part_of[row] == "validation" for row in learnt.tolist()])
    counts = None
    if rows.weights is not None:
        counts = torch.tensor(rows.weights, dtype=torch.float32)[learnt]
        if not bool((counts > 0).any()):
            raise ValueError(
                f"{rows.name} must give some training image a weight above 0, all of them have 0."
            )
    return Marks(
        groups=None if groups is None else groups[learnt],
        validation=validated.nonzero().flatten() if bool(validated.any()) else None,
        counts=counts,
    )


def check_label_names(rows: LabelTable, class_names: tuple[str, ...], *, least: int = 2) -> None:
    """Refuse labels that are no names of classes, or of fewer classes than there must be."""
    others = [f"{class_names[0]} " for _ in range(least, 2)] if class_names else []
    problem = find_problem_of_names((*class_names, *others))
    if problem is not None:
        raise ValueError(f"The labels of {rows.name} must be {problem}.")


def note_unused_columns(rows: LabelTable) -> list[str]:
    """Say which columns of a table are not used, if any."""
    if not rows.unused:
        return []
    verb = "is" if len(rows.unused) == 1 else "are"
    return [f"Of {Path(rows.name).name}, {list_names(rows.unused)} {verb} not used."]


def note_rows(rows: LabelTable) -> list[str]:
    """Say which columns are not used, and which labels differ by case or spaces alone."""
    notes = note_unused_columns(rows)
    alike: dict[str, list[str]] = {}
    counts = Counter(rows.labels)
    for name in counts:
        alike.setdefault("".join(compose(name).casefold().split()), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            listed = " and ".join(f"{quote(one)} ({counts[one]:,} images)" for one in sorted(names))
            notes.append(
                f"The labels {listed} differ by case or spaces alone and stay {len(names)} "
                "classes; write them alike if they are one."
            )
    return notes


def read_splits(rows: LabelTable, *, tested: bool = False) -> list[str]:
    """Read the part of each row: "train", "validation" or "test"; without splits "train".

    Args:
        rows: of a table.
        tested: it is measured, and needs no row for the training.

    Raises:
        ValueError: if a split is none of these, or no row is for the training.
    """
    if rows.splits is None:
        return ["train"] * len(rows.paths)
    found = [SPLITS.get(one.strip().lower(), "") for one in rows.splits]
    if "" in found:
        place = found.index("")
        raise ValueError(
            f"{rows.name} must have train, validation or test as split, row {rows.lines[place]} "
            f"has {quote(rows.splits[place])}."
        )
    if "train" not in found and not tested:
        raise ValueError(f"{rows.name} must have rows with the split train, it has none.")
    return found


def note_divided(groups: Sequence[str], part_of: Sequence[str] | None, tested: Tensor) -> list[str]:
    """Say which groups the given splits divide."""
    if part_of is None:
        return []
    learnt = {one for one, test in zip(groups, tested.tolist(), strict=True) if not test}
    both = sorted({one for one, test in zip(groups, tested.tolist(), strict=True) if test} & learnt)
    if not both:
        return []
    verb = "group is" if len(both) == 1 else "groups are"
    return [
        f"{len(both):,} {verb} in both training and test (first: {both[0]}), as the splits say; "
        "accuracy there says little about new groups."
    ]


def find_listed(rows: LabelTable, folder: Path) -> ListedFiles:
    """Find the files of a table below one folder: the table's own, or the one they share.

    Raises:
        FileNotFoundError: if files are not there; the first are named, all are counted.
        ValueError: if a file is there twice.
    """
    base = folder.absolute()
    found = [locate(base, one) for one in rows.paths]
    missing = [one for one, path in zip(rows.paths, found, strict=True) if path is None]
    if missing:
        more = f" and {len(missing) - NAMED_MISSING:,} more" if len(missing) > NAMED_MISSING else ""
        named = ", ".join(missing[:NAMED_MISSING])
        verb = "is" if len(missing) == 1 else "are"
        raise FileNotFoundError(
            f"{len(missing):,} of the {len(found):,} files in {rows.name} {verb} not there "
            f"({named}{more}); paths begin at {base}."
        )
    paths = [path for path in found if path is not None]
    check_distinct(rows, paths)
    root = share_folder(base, paths)
    return ListedFiles(root, [one.relative_to(root).as_posix() for one in paths])


def find_list_root(table: Path, columns: Mapping[str, str]) -> Path:
    """Find the folder that all files of a table are below, whether they are there or not.

    Raises:
        FileNotFoundError: if there is no such table.
        ValueError: if it is not in order.
    """
    rows = read_label_table(table, columns, unlabelled=True)
    base = table.parent.absolute()
    plain = [one.replace("\\", "/") for one in rows.paths]
    return share_folder(base, [locate(base, one) or place_below(base, one) for one in plain])


def share_folder(base: Path, paths: Sequence[Path]) -> Path:
    """Return a folder if all paths are below it, else the one that they share."""
    folders = {path.parent for path in paths}
    base = Path(os.path.normpath(base))
    if all(folder == base or base in folder.parents for folder in folders):
        return base
    return Path(os.path.commonpath(folders))


def place_below(base: Path, name: str) -> Path:
    """Return the path that a name in a table stands for, without dots on the way."""
    return Path(os.path.normpath(base / Path(name).expanduser()))


def locate(base: Path, name: str) -> Path | None:
    """Find a file, also where a table writes its name with backslashes or other characters."""
    for text in dict.fromkeys((name, name.replace("\\", "/"), compose(name))):
        path = place_below(base, text)
        if path.is_file():
            return path
    return None


def check_distinct(rows: LabelTable, paths: Sequence[Path]) -> None:
    """Refuse a table that names a file twice, with one label or with two."""
    first: dict[Path, int] = {}
    twice = [
        (first[path], place)
        for place, path in enumerate(paths)
        if first.setdefault(path, place) != place
    ]
    if not twice:
        return
    one, other = twice[0]
    labels = rows.labels or [""] * len(paths)
    clash = [pair for pair in twice if labels[pair[0]] != labels[pair[1]]]
    if clash:
        one, other = clash[0]
    said = f" as {quote(labels[one])} and as {quote(labels[other])}" if clash else ""
    raise ValueError(
        f"{rows.name} must name every file once, {len(twice):,} rows name one again (first: "
        f"{rows.paths[one]} in rows {rows.lines[one]} and {rows.lines[other]}{said}); keep one row "
        "of each."
    )
