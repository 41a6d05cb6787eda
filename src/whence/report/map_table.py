"""Pictures in rows and columns: what several methods say of the same images."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from whence.report.embedded import Picture

AmountTone = Literal["raises", "lowers", "missing"]


@dataclass(frozen=True)
class LedgerPart:
    """One line of a ledger.

    Attributes:
        name: of the line.
        text: its amount.
        tone: raises the score, lowers it, or is not explained.
        left: where its piece of the bar begins, in [0, 100].
        width: of that piece.
    """

    name: str
    text: str
    tone: AmountTone
    left: float
    width: float


@dataclass(frozen=True)
class LedgerBar:
    """Where a score went: pieces below 0 to the left of a mark, those above to the right.

    Attributes:
        title: what the pieces add up to.
        zero: where the mark stands, in [0, 100].
        parts: in order.
    """

    title: str
    zero: float
    parts: tuple[LedgerPart, ...]


@dataclass(frozen=True)
class MapCell:
    """What one method says of one picture.

    Attributes:
        picture: the map in colours; None where there is nothing to show.
        lines: below it.
        warning: a sentence that stands out, "" for none.
        ledger: None in rows of evidence, and for a method that promises no sum.
    """

    picture: Picture | None
    lines: tuple[str, ...] = ()
    warning: str = ""
    ledger: LedgerBar | None = None


@dataclass(frozen=True)
class MapRow:
    """A picture, and a cell for each method.

    Attributes:
        name: what stands above the picture.
        picture: None where the memory has no pixels.
        lines: below it.
        cells: one a column.
    """

    name: str
    picture: Picture | None
    lines: tuple[str, ...]
    cells: tuple[MapCell, ...]


@dataclass(frozen=True)
class MapTable:
    """Rows of pictures, columns of methods.

    Attributes:
        label: what it holds, for those who cannot see it.
        header: the name of each column and the anchor of what is said about it.
        rows: each with one cell a column.
        columns: how many there is room for; columns that are not there leave theirs free.
    """

    kind: ClassVar[str] = "maps"
    label: str
    header: tuple[tuple[str, str], ...]
    rows: tuple[MapRow, ...]
    columns: int
