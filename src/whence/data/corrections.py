"""Corrections of labels, as a person wrote them into a table of suspicious ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from whence.data.label_table import open_rows
from whence.data.names import compose
from whence.messages import count, quote
from whence.records.images import Dataset, ImageSet
from whence.records.labels import list_names

AUDIT_COLUMNS = (
    *("file", "index", "label", "suggested_label", "score", "corrected_label", "nearest", "run"),
)
"""Of the table that ``whence report`` writes; a person fills in ``corrected_label``."""

NEEDED_COLUMNS = ("file", "index", "label", "corrected_label")
REMOVE = ("remove", "(remove)")
"""In the place of a label: take the image out. The first is no such word where a class has it."""

MOST_CORRECTIONS = 2_000_000


@dataclass(frozen=True)
class Correction:
    """What a person says of the label of one image."""

    file: str  # "" where images do not come from files
    index: int | None  # place among the training images of its data
    label: str  # that it had
    corrected: str | None  # that it is to have; None takes it out
    row: int

    @property
    def name(self) -> str:
        """Name the image, by its file or its index."""
        return self.file or f"image {self.index}"


def read_corrections(path: Path, class_names: Sequence[str]) -> tuple[Correction, ...]:
    """Read the rows in which a person filled in a label.

    Rows with an empty ``corrected_label`` say nothing; one that is the label it has confirms it.

    Args:
        path: of the table.
        class_names: that labels may have.

    Raises:
        FileNotFoundError: if there is no such table.
        ValueError: if a column is missing, a label is no class, or an image is there twice.
    """
    found: list[Correction] = []
    with open_rows(path) as rows:
        heads = [head.strip() for head in next(rows, [])]
        missing = [name for name in NEEDED_COLUMNS if name not in heads]
        if missing:
            raise ValueError(
                f"{path} must have the columns {', '.join(NEEDED_COLUMNS)}, as whence report "
                f"writes them, it lacks {missing[0]}."
            )
        places = [heads.index(name) for name in NEEDED_COLUMNS]
        for row in rows:
            if any(row):
                entries = [row[place].strip() if place < len(row) else "" for place in places]
                one = read_correction(path, entries, rows.line_num, class_names)
                if one is not None:
                    found.append(one)
    check_once(path, found)
    return tuple(found)


def read_origin(path: Path) -> str | None:
    """Read which run a table of suspicious labels was made of; None where it does not say."""
    with open_rows(path) as rows:
        heads = [head.strip() for head in next(rows, [])]
        first: list[str] = next(rows, [])
    place = heads.index("run") if "run" in heads else len(first)
    return first[place].strip() or None if place < len(first) else None


def read_correction(
    path: Path, entries: Sequence[str], row: int, class_names: Sequence[str]
) -> Correction | None:
    """Read one row; None where nothing was filled in.

    Args:
        path: of the table, for messages.
        entries: file, index, label and corrected label.
        row: its number.
        class_names: that labels may have.
    """
    file, index, label, corrected = entries
    if not corrected:
        return None
    names = {compose(name).strip(): name for name in class_names}
    wanted = names.get(compose(corrected))
    if wanted is None and corrected.lower() not in REMOVE:
        raise ValueError(
            f"{path} must have a class as corrected_label ({list_names(class_names)}), or remove, "
            f"row {row} has {quote(corrected)}."
        )
    if not file and not index.isdigit():
        raise ValueError(f"{path} must name a file or an index in every row, row {row} has none.")
    number = int(index) if index.isdigit() else None
    return Correction(file, number, names.get(compose(label), label), wanted, row)


def check_once(path: Path, corrections: Sequence[Correction]) -> None:
    """Refuse two corrections of one image."""
    seen: dict[str, int] = {}
    for one in corrections:
        before = seen.setdefault(one.name, one.row)
        if before != one.row:
            raise ValueError(
                f"{path} must correct every image once, {one.name} is in rows {before} and "
                f"{one.row}."
            )


def find_corrected(
    images: ImageSet, corrections: Sequence[Correction], *, by_index: bool
) -> dict[int, Correction]:
    """Find the places of the images that corrections name.

    Args:
        images: with files, or without.
        corrections: of some of these images, and of others.
        by_index: without files, the index of a correction is a place among these images.
    """
    if images.sources is None:
        named = [one for one in corrections if one.index is not None and not one.file]
        return {one.index: one for one in named if by_index and one.index is not None}
    places = {compose(name): place for place, name in enumerate(images.sources)}
    found = ((places.get(compose(one.file)), one) for one in corrections if one.file)
    return {place: one for place, one in found if place is not None}


def correct_dataset(dataset: Dataset, corrections: Sequence[Correction], where: str) -> Dataset:
    """Give images their corrected labels, and mark those that are to be taken out.

    The images are divided as they were before: a correction moves none to another part.

    Args:
        dataset: whose training and test images are corrected.
        corrections: of them.
        where: they come from, for messages.

    Raises:
        ValueError: if an image is not there, or has another label now than the correction says, or
            no test image is left.
    """
    learnt = find_corrected(dataset.train, corrections, by_index=True)
    tested = find_corrected(dataset.test, corrections, by_index=False)
    found = {one.row for part in (learnt, tested) for one in part.values()}
    lost = [one for one in corrections if one.row not in found]
    bad = [place for place in learnt if place >= len(dataset.train)]
    if lost or bad:
        name = lost[0].name if lost else learnt[bad[0]].name
        raise ValueError(
            f"{where} must correct images of {dataset.name}, {len(lost) + len(bad):,} of "
            f"{len(corrections):,} are not there (first: {name}); is it a table of other images?"
        )
    train, removed = correct_images(dataset.train, learnt, where)
    test, dropped = correct_images(dataset.test, tested, where)
    marks = dataset.marks
    if learnt:
        first = dataset.train.labels if marks.first_labels is None else marks.first_labels
        marks = replace(marks, first_labels=first, removed=removed if bool(removed.any()) else None)
    if bool(dropped.any()):
        test = test.take((~dropped).nonzero().flatten())
        if len(test) == 0:
            raise ValueError(f"{where} must leave a test image to measure on, it removes all.")
    note = say_corrections(where, corrections, len(tested))
    return replace(dataset, train=train, test=test, marks=marks, notes=(*dataset.notes, note))


def correct_images(
    images: ImageSet, found: dict[int, Correction], where: str
) -> tuple[ImageSet, torch.Tensor]:
    """Correct labels, and say which images are to be taken out, `(N,)` bool."""
    labels, names = images.labels.clone(), images.class_names
    removed = torch.zeros(len(labels), dtype=torch.bool)
    for place, one in found.items():
        now = names[int(labels[place])]
        if compose(one.label) != compose(now) and one.corrected != now:
            raise ValueError(
                f"{where} says that {one.name} has the label {quote(one.label)}, it has "
                f"{quote(now)}; was it made for other labels? (row {one.row})"
            )
        if one.corrected is None:
            removed[place] = True
        else:
            labels[place] = names.index(one.corrected)
    return replace(images, labels=labels), removed


def say_corrections(where: str, corrections: Sequence[Correction], tested: int) -> str:
    """Say in one sentence what corrections do."""
    kinds = count_corrections(corrections)
    test = f", of them {count(tested, 'test image')}" if tested else ""
    return (
        f"{Path(where).name} corrects {count(kinds['relabelled'], 'label')}, takes "
        f"{count(kinds['removed'], 'image')} out and confirms {kinds['confirmed']:,}{test}."
    )


def count_corrections(corrections: Sequence[Correction]) -> dict[str, int]:
    """Count what corrections do."""
    removed = sum(one.corrected is None for one in corrections)
    confirmed = sum(one.corrected == one.label for one in corrections)
    return {
        "relabelled": len(corrections) - removed - confirmed,
        "removed": removed,
        "confirmed": confirmed,
    }


def corrections_to_json(
    corrections: Sequence[Correction], where: str, *, listed: int = 1000
) -> dict[str, object]:
    """Lay out what corrections did, for the record of a run; of many the first are listed."""
    changed = [one for one in corrections if one.corrected != one.label]
    return {
        "table": Path(where).name,
        **count_corrections(corrections),
        "changed": [
            {"image": one.name, "label": one.label, "corrected": one.corrected}
            for one in changed[:listed]
        ],
    }
