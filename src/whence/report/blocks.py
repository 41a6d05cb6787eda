"""What a page is made of: sections of blocks, and the kinds of things that a block shows."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from whence.report.embedded import Picture
from whence.report.map_table import MapTable

Tone = Literal["plain", "note", "calm", "careful", "doubtful"]
"""How a block is framed; what the frame means always stands in words, too."""


@dataclass(frozen=True)
class Headline:
    """The answer for one image, in large letters beside its pictures.

    Attributes:
        pictures: each with what stands below it.
        answer: name of the class.
        share: its probability, as text.
        verdict: the comparison with the true class, "" where that is not known.
        right: the answer is the true class.
        bars: probabilities of the classes.
    """

    kind: ClassVar[str] = "headline"
    pictures: tuple[tuple[Picture, str], ...]
    answer: str
    share: str
    verdict: str
    right: bool
    bars: "BarChart | None" = None


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length in [0, 1], the number as text, and whether it stands out."""

    name: str
    share: float
    text: str
    strong: bool = False


@dataclass(frozen=True)
class BarChart:
    """Bars below each other; ``label`` says what they are to those who cannot see them."""

    kind: ClassVar[str] = "bars"
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Card:
    """A picture and what is said about it.

    Attributes:
        role: chooses the frame: "input", "example", "counterfactual", "near", "stored", "step" or
            "inside".
        badge: what stands above the picture.
        picture: None when the memory was saved without pixels.
        label: the true class, None for a picture without one.
        conflict: a sentence where the model itself sees another class than the label.
        lines: short texts below them.
        share: length of a bar in [0, 1]; None for no bar.
        place: where the image is from: its index and file.
        relevance: that of its pixels, in colours; None without.
        relevance_sum: what that adds up to, as text.
    """

    role: str
    badge: str
    picture: Picture | None
    label: str | None = None
    conflict: str = ""
    lines: tuple[str, ...] = ()
    share: float | None = None
    place: str = ""
    relevance: Picture | None = None
    relevance_sum: str = ""


@dataclass(frozen=True)
class Strip:
    """Cards side by side.

    Attributes:
        cards: in order.
        width: least CSS pixels of a card.
        rest: a sentence about those that are not shown.
        layout: "cards", "pair" (relevance beside the pictures on a phone) or "frames" (up to ten in
            a row on a wide screen).
    """

    kind: ClassVar[str] = "strip"
    cards: tuple[Card, ...]
    width: int
    rest: str = ""
    layout: Literal["cards", "pair", "frames"] = "cards"


@dataclass(frozen=True)
class ColourScale:
    """A colour scale from a negative to a positive end.

    Attributes:
        label: what the colours stand for.
        uri: the scale as a picture.
        ends: what is coloured, and what both ends stand for, the negative one first.
    """

    kind: ClassVar[str] = "scale"
    label: str
    uri: str
    ends: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in units of the drawing, and its number."""

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """One curve: its name, the path of its SVG element, and how it is drawn."""

    name: str
    path: str
    colour: str
    dashes: str
    width: float


@dataclass(frozen=True)
class LinePlot:
    """Curves in a coordinate system; sizes and places in units of the drawing.

    Attributes:
        title: what stands above.
        label: what it shows, for those who cannot see it.
        width, height: of the drawing.
        left, right, top, bottom: where the axes begin and end.
        zero: height of the line at 0.
        lines: the curves.
        across: ticks of the horizontal axis.
        up: ticks of the vertical axis.
        up_name: what the vertical axis is, "" where the title says it.
        across_name: what the horizontal axis is.
        band: where a shaded stretch begins, its middle and where it ends; None without one.
        band_name: what the legend calls it.
        caption: a sentence below.
    """

    kind: ClassVar[str] = "plot"
    title: str
    label: str
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    zero: float
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    up_name: str = ""
    across_name: str = ""
    band: tuple[float, float, float] | None = None
    band_name: str = ""
    caption: str = ""


@dataclass(frozen=True)
class TableCell:
    """A number as text, the colour behind it, and what a reader who points at it is told."""

    text: str
    colour: str = ""
    title: str = ""
    faint: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row: what it is, a word of explanation, its cells, and why it stands out, "" if not."""

    name: str
    meaning: str
    cells: tuple[TableCell, ...]
    mark: str = ""


@dataclass(frozen=True)
class NumberTable:
    """A table of numbers.

    Attributes:
        label: what it holds, for those who cannot see it.
        header: one name per column; empty for a single column that the rows explain.
        rows: each with one cell per column.
        layout: "grid" (columns become lines on a phone) or "matrix" (shaded cells below upright
            names).
        caption: a sentence above.
    """

    kind: ClassVar[str] = "table"
    label: str
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]
    layout: Literal["grid", "matrix"] = "grid"
    caption: str = ""


@dataclass(frozen=True)
class Glossary:
    """Words and what they mean, or facts and their values.

    Attributes:
        entries: in order.
        strong: the words stand out, as in a legend.
    """

    kind: ClassVar[str] = "glossary"
    entries: tuple[tuple[str, str], ...]
    strong: bool = False


@dataclass(frozen=True)
class ContentsEntry:
    """A link to a section, with a picture.

    Attributes:
        anchor: of the section.
        picture: small.
        name: of what is there.
        answer: what stands out.
        lines: short texts below.
    """

    anchor: str
    picture: Picture
    name: str
    answer: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """Links to sections of the page."""

    kind: ClassVar[str] = "contents"
    label: str
    entries: tuple[ContentsEntry, ...]


@dataclass(frozen=True)
class Illustration:
    """A picture as wide as the page, with a sentence below."""

    kind: ClassVar[str] = "illustration"
    picture: Picture
    caption: str


Shown = (
    Headline
    | BarChart
    | Strip
    | ColourScale
    | LinePlot
    | NumberTable
    | MapTable
    | Glossary
    | Contents
    | Illustration
)
"""Everything that a block can show; ``shown.html`` has one macro for each ``kind``."""


@dataclass(frozen=True)
class PageBlock:
    """A stretch of a page.

    Attributes:
        title: above it; "" for a block that goes on with the one before.
        sentences: paragraphs.
        shown: below them, in order.
        after: paragraphs below that.
        tone: how the block is framed.
        anchor: what links to it name; "" for none.
    """

    title: str = ""
    sentences: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    after: tuple[str, ...] = ()
    tone: Tone = "plain"
    anchor: str = ""


@dataclass(frozen=True)
class PageSection:
    """A part of a page with a heading.

    Attributes:
        anchor: what links to it name.
        title: the heading.
        blocks: in order.
        jump: its name among the links at the top; "" for none.
        back: anchor of the section that leads here, and the words of a link to it; None for none.
    """

    anchor: str
    title: str
    blocks: tuple[PageBlock, ...]
    jump: str = ""
    back: tuple[str, str] | None = None


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the document, and its first heading.
        head: blocks below that.
        sections: the parts.
        foot: blocks at the end, each in a frame of its own.
    """

    title: str
    head: tuple[PageBlock, ...]
    sections: tuple[PageSection, ...]
    foot: tuple[PageBlock, ...]
