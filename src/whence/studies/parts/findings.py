"""What a study found, ours beside what was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whence.report.blocks import PageSection

Entry = str | int | float | None
"""One entry of a table; None where there is nothing to say."""


@dataclass(frozen=True)
class StudyFigure:
    """A picture of what was found.

    Attributes:
        name: of its file, without the ending.
        caption: a sentence that says what is to be seen.
        png: the file.
    """

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Findings:
    """The table of a study, and what it says of the study's claim.

    Attributes:
        columns: one name per column.
        rows: entries in the order of the columns; fractions, not percent.
        holds: the claim was borne out; None where a user's own run or images were looked at, of
            which nothing was claimed.
        verdict: what was found, in one sentence with the numbers that decide.
        made_with: seeds, settings, fingerprint of the images: what it takes to find it again.
        sentences: what else a reader should know, below the verdict.
        figures: pictures, written beside the table and shown on the page.
        sections: further parts of the page.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    holds: bool | None
    verdict: str
    made_with: Mapping[str, Any] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    figures: tuple[StudyFigure, ...] = ()
    sections: tuple[PageSection, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows must have {len(self.columns)} entries, one per column, got {len(row)}."
                )


def show_entry(entry: Entry) -> str:
    """Write one entry of a table.

    >>> show_entry(15447642), show_entry(0.25), show_entry(None)
    ('15,447,642', '0.25', '')
    """
    if entry is None:
        return ""
    if isinstance(entry, str):
        return entry
    return f"{entry:,}" if isinstance(entry, int) else f"{entry:.4g}"


def round_entry(number: float | None) -> float | None:
    """Keep three digits, which say enough.

    >>> round_entry(0.12345), round_entry(None)
    (0.123, None)
    """
    return None if number is None else float(f"{number:.3g}")


def lay_out_numbers(
    name: str, columns: Sequence[str], numbers: Mapping[str, float | None]
) -> tuple[Entry, ...]:
    """Lay out a row: its name, and three digits of the number of every column that has one.

    >>> lay_out_numbers("votes", ("right", "input"), {"right": 0.98765})
    ('votes', 0.988, None)
    """
    return (name, *(round_entry(numbers.get(column)) for column in columns))
