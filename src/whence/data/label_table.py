"""A table of labelled files, one row an image: read from a text file or a frame of pandas."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whence.messages import quote, shorten_text
from whence.records.labels import list_names

TABLE_ENDINGS = (".csv", ".tsv")
"""Of the files that are tables of labels."""

COLUMN_ROLES = ("path", "label", "group", "split", "weight")
"""What a column may say of an image; the first two must be there."""

NEEDED = COLUMN_ROLES[:2]
MOST_ROWS = 2_000_000
"""More images than this are not read from one table: every one of them is held in memory."""

SEPARATORS = ("\t", ",", ";")
SAYS_SEPARATOR = re.compile(r'"?sep=[\t,;]?"?', re.IGNORECASE)
"""A first line that some spreadsheets write and read: it names the separator and no columns."""

BYTE_ORDERS = (b"\xff\xfe", b"\xfe\xff")
NO_COLUMNS: Mapping[str, str] = {}


@dataclass
class LabelTable:
    """The rows of a table; the columns that it lacks are None.

    Attributes:
        name: of the table, for messages.
        lines: of each row, as a text editor counts them; of a frame, its place from 0 on.
        unused: names of the columns that say nothing here.
    """

    name: str
    paths: list[str] = field(default_factory=list)
    labels: list[str] | None = None
    groups: list[str] | None = None
    splits: list[str] | None = None
    weights: list[float] | None = None
    lines: list[int] = field(default_factory=list)
    unused: tuple[str, ...] = ()


def is_table(path: object) -> bool:
    """Say whether a path is that of a table of labels, by its ending.

    >>> is_table("labels.CSV"), is_table("photos")
    (True, False)
    """
    if not isinstance(path, str | Path) or Path(path).suffix.lower() not in TABLE_ENDINGS:
        return False
    return not Path(path).expanduser().is_dir()


def is_frame(source: object) -> bool:
    """Say whether something is a table in memory, as those of pandas are."""
    return hasattr(source, "columns") and hasattr(source, "itertuples")


def read_label_table(
    source: Any, columns: Mapping[str, str] = NO_COLUMNS, *, unlabelled: bool = False
) -> LabelTable:
    """Read the rows of a text file, separated by tabs, commas or semicolons, or of a frame.

    Args:
        source: the file, or the frame.
        columns: names of columns by role ("path", "label", "group", "split", "weight"); a role
            that is not named has the column of its own name, if there is one.
        unlabelled: a table without labels will do.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a column is missing, a row does not hold what it must, or there are more than
            2,000,000 rows.
    """
    unknown = [role for role in columns if role not in COLUMN_ROLES]
    if unknown:
        raise ValueError(
            f"columns must name the columns of {', '.join(COLUMN_ROLES)}, got one of "
            f"{quote(unknown[0])}."
        )
    if is_frame(source):
        return read_frame(source, columns, unlabelled=unlabelled)
    with open_rows(Path(source)) as rows:
        return fill_table(str(source), rows, columns, unlabelled=unlabelled)


@contextmanager
def open_rows(path: Path) -> Iterator[Any]:
    """Open a text file of rows, separated by tabs, commas or semicolons, as ``csv.reader`` does.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such text; also while the rows are read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No table of labels {path}.")
    with path.open("rb") as binary:
        encoding = "utf-16" if binary.read(2) in BYTE_ORDERS else "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = csv.reader(file, delimiter=max(SEPARATORS, key=first.count))
            if SAYS_SEPARATOR.fullmatch(first.strip()):
                next(rows)
            yield rows
    except UnicodeError as error:
        raise ValueError(
            f"{path} must be text in UTF-8, it is not; save it so, in a spreadsheet as 'CSV UTF-8'."
        ) from error
    except csv.Error as error:
        raise ValueError(f"{path} must be a table of text, it is damaged ({error}).") from error


def read_frame(frame: Any, columns: Mapping[str, str], *, unlabelled: bool = False) -> LabelTable:
    """Read the rows of a frame of pandas; what is missing there is empty text."""
    heads = [str(one) for one in frame.columns]
    wanted = sorted(set(find_columns("The frame", heads, columns, unlabelled=unlabelled).values()))
    cells = [[to_cell(one) for one in frame.iloc[:, place].tolist()] for place in wanted]
    empty = [""] * len(heads)

    def lay_out() -> Iterator[list[str]]:
        yield heads
        for row in zip(*cells, strict=True):
            line = list(empty)
            for place, cell in zip(wanted, row, strict=True):
                line[place] = cell
            yield line

    return fill_table("The frame", lay_out(), columns, unlabelled=unlabelled)


def to_cell(value: object) -> str:
    """Write a value of a frame as text; nothing for None and NaN."""
    missing = value is None or type(value).__name__ in ("NAType", "NaTType") or value != value
    return "" if missing else str(value)


def fill_table(
    name: str,
    rows: Iterable[Sequence[str]],
    columns: Mapping[str, str],
    *,
    unlabelled: bool = False,
) -> LabelTable:
    """Read rows, the first of which names the columns, one after another.

    Labels, groups and splits that are equal are held once, so that a row takes little more than
    its path.
    """
    lines = iter(rows)
    heads = [head.strip() for head in next(lines, [])]
    places = find_columns(name, heads, columns, unlabelled=unlabelled)
    table = LabelTable(
        name, unused=tuple(one for one in heads if one and is_unused(one, places, heads))
    )
    texts: dict[str, list[str]] = {role: [] for role in places}
    texts["path"] = table.paths
    known: dict[str, str] = {}
    last = max(places.values())
    for number, row in enumerate(lines, 1):
        if not any(row):
            continue
        line = getattr(rows, "line_num", number - 1)
        if len(row) <= last:
            raise ValueError(
                f"{name} must have {last + 1} columns in every row, row {line} has {len(row)}."
            )
        if len(table.paths) == MOST_ROWS:
            raise ValueError(
                f"{name} must have at most {MOST_ROWS:,} rows, it has more: every image is held in "
                "memory; take a part of them."
            )
        for role, place in places.items():
            cell = row[place]
            texts[role].append(cell if role == "path" else known.setdefault(cell, cell))
        table.lines.append(line)
    check_filled(table, texts)
    table.labels, table.groups = texts.get("label"), texts.get("group")
    table.splits = texts.get("split")
    if "weight" in texts:
        table.weights = read_weights_of(table, texts["weight"])
    return table


def is_unused(head: str, places: Mapping[str, int], heads: Sequence[str]) -> bool:
    """Say whether a column has no role."""
    return heads.index(head) not in places.values()


def find_columns(
    name: str, heads: Sequence[str], columns: Mapping[str, str], *, unlabelled: bool
) -> dict[str, int]:
    """Find the place of the column of each role.

    Raises:
        ValueError: if one that is needed, or named, is not there, or is there twice.
    """
    places: dict[str, int] = {}
    for role in COLUMN_ROLES:
        wanted = columns.get(role, role).strip()
        count = heads.count(wanted)
        if count > 1:
            raise ValueError(f"{name} must have one column {quote(wanted)}, it has {count}.")
        if count:
            places[role] = heads.index(wanted)
        elif role in columns or (role in NEEDED and not (unlabelled and role == "label")):
            there = (
                f"it has {list_names(one or '(no name)' for one in heads)}"
                if heads
                else "it is empty"
            )
            raise ValueError(
                f"{name} must have a column {quote(wanted)} ({there}); name the column of the "
                f"{role} with --{role}-column."
            )
    taken = list(places.values())
    twice = [role for role in places if taken.count(places[role]) > 1]
    if twice:
        raise ValueError(
            f"columns must be one for each of {' and '.join(twice)}, got "
            f"{quote(heads[places[twice[0]]])} for both."
        )
    return places


def check_filled(table: LabelTable, texts: Mapping[str, Sequence[str]]) -> None:
    """Refuse a table without rows, and empty cells."""
    if not table.paths:
        raise ValueError(f"{table.name} must have a row for every image, it has none.")
    for role, cells in texts.items():
        empty = [place for place, cell in enumerate(cells) if not cell.strip()]
        if empty:
            have = "has" if len(empty) == 1 else "have"
            raise ValueError(
                f"{table.name} must have a {role} in every row, {len(empty):,} of {len(cells):,} "
                f"rows {have} none (first: row {table.lines[empty[0]]}); fill them in, or take "
                "those rows out."
            )


def read_weights_of(table: LabelTable, cells: Sequence[str]) -> list[float]:
    """Read how much each image counts: numbers from 0 on, not all of them 0."""
    found: list[float] = []
    for line, cell in zip(table.lines, cells, strict=True):
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1e9:
            raise ValueError(
                f"{table.name} must have numbers from 0 to 1e9 as weights, row {line} has "
                f"{quote(shorten_text(cell))}."
            )
        found.append(number)
    return found
