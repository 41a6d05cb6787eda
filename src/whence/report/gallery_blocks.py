"""The blocks of an image with what every method says of its pixels."""

from collections.abc import Sequence

from torch import Tensor

from whence.messages import format_number
from whence.records.answers import Evidence
from whence.records.gallery import AttributedImage, Gallery
from whence.records.picture import colour, find_factor, find_limit
from whence.records.relevance import OUTSIDE, WITHOUT_VOTE, Relevance
from whence.report.answer_blocks import say_verdict
from whence.report.blocks import PageBlock, PageSection
from whence.report.cards import draw_picture, name_label, name_place
from whence.report.embedded import Picture
from whence.report.map_table import AmountTone, LedgerBar, LedgerPart, MapCell, MapRow, MapTable
from whence.report.numbers import percent, signed
from whence.report.relevance_blocks import LARGE_ERROR, is_flat

MOST_COLUMNS, FEW_COLUMNS = 5, 3
"""Methods side by side; more begin a new table below, and fewer have larger pictures."""

LOST_LINE = "unexplained"

LINES = {OUTSIDE: "other stored images", WITHOUT_VOTE: "next class"}
"""Lines of a ledger that are called otherwise where there is little room."""

NO_SHARES = "no shares of the score"

NOTHING = "Nothing to show: no pixel counts by this method, its numbers are 0 or mere rounding."


def attributed_section(
    gallery: Gallery, asked: AttributedImage, classes: Sequence[str], number: int
) -> PageSection:
    """Describe one image; ``number`` is its place on the page, from 1."""
    notes = (PageBlock(sentences=asked.notes, tone="note"),) if asked.notes else ()
    starts = range(0, len(asked.relevance), MOST_COLUMNS)
    tables = tuple(
        make_table(
            asked, asked.relevance[start : start + MOST_COLUMNS], classes, gallery.shown_evidence
        )
        for start in starts
    )
    sentences = (say_asked(asked, classes), *say_hidden(asked, gallery.shown_evidence))
    return PageSection(
        f"image-{number}",
        asked.name,
        (PageBlock(sentences=sentences, shown=tables), *notes),
        jump="" if len(gallery.images) > 1 else "the image",
    )


def say_asked(asked: AttributedImage, classes: Sequence[str]) -> str:
    """Say the answer, and what is explained of it."""
    prediction, relevance = asked.prediction, asked.relevance[0]
    share = percent(float(prediction.probabilities[prediction.predicted]))
    verdict = say_verdict(asked.truth, prediction.predicted, classes)
    answer = f"The model answers {classes[prediction.predicted]} ({share})"
    score = format_number(float(relevance.score[0]), ".3g")
    return (
        f"{answer}{f', {verdict}' if verdict else ''}. "
        f"Every map explains the same number, the {relevance.target[0]}, which is {score} here."
    )


def say_hidden(asked: AttributedImage, shown: int) -> tuple[str, ...]:
    """Count the evidence images that are not shown."""
    more = len(asked.prediction.evidence) - shown
    if more <= 0:
        return ()
    told = "image of lower weight is" if more == 1 else "images of lower weight are"
    return (f"{more:,} more evidence {told} counted, but not shown.",)


def make_table(
    asked: AttributedImage, methods: Sequence[Relevance], classes: Sequence[str], shown: int
) -> MapTable:
    """Set the maps of several methods beside the image, those of its evidence beneath."""
    columns = min(MOST_COLUMNS, len(asked.relevance))
    picture = draw_map_picture(asked.image, f"{asked.name}, the image asked about", columns)
    cells = tuple(make_image_cell(one, columns) for one in methods)
    rows = [MapRow("this image", picture, (), cells)]
    if any(len(one.evidence[0]) for one in methods):
        for place, item in enumerate(asked.prediction.evidence[:shown]):
            cells = tuple(make_evidence_cell(one, place, item, columns) for one in methods)
            rows.append(make_evidence_row(asked, item, classes, cells, columns))
    return MapTable(
        label=f"Relevance of the pixels of {asked.name} by {len(methods)} methods",
        header=tuple((name_method(one.method), anchor_of(one.method)) for one in methods),
        rows=tuple(rows),
        columns=columns,
    )


def name_method(name: str) -> str:
    """Write the name of a method as words.

    >>> name_method("integrated_gradients")
    'integrated gradients'
    """
    return name.replace("_", " ")


def anchor_of(name: str) -> str:
    """Name the place of a page that tells a method."""
    return f"method-{name}"


def draw_map_picture(image: Tensor, alt: str, beside: int) -> Picture:
    """Embed `(C, H, W)` uint8 pixels as wide as a column beside ``beside`` others allows."""
    few = beside <= FEW_COLUMNS
    return draw_picture(image, alt, smallest=150 if few else 96, largest=200 if few else 150)


def make_evidence_row(
    asked: AttributedImage,
    item: Evidence,
    classes: Sequence[str],
    cells: tuple[MapCell, ...],
    columns: int,
) -> MapRow:
    """Describe an evidence image, and set its maps beside it."""
    label, place = name_label(item.label, classes), name_place(item.index, item.source)
    image = asked.stored[item.index].image
    alt = f"{place}, labelled {label}"
    return MapRow(
        name=f"evidence: {label}",
        picture=None if image is None else draw_map_picture(image, alt, columns),
        lines=(f"weight {percent(item.weight)}", place),
        cells=cells,
    )


def make_image_cell(relevance: Relevance, beside: int) -> MapCell:
    """Colour the image's pixels by one method, and say where the score went."""
    if has_nothing(relevance):
        return MapCell(None, (NOTHING,), ledger=make_ledger(relevance))
    own = relevance.images[0].sum(0)  # (H, W)
    limit = find_limit([own])
    lines = (say_end(limit),) if relevance.ledger is not None else (say_end(limit), NO_SHARES)
    alt = f"map of the image by {name_method(relevance.method)}"
    picture = draw_map_picture(colour(own, limit), alt, beside)
    return MapCell(picture, lines, say_unexplained(relevance), make_ledger(relevance))


def has_nothing(relevance: Relevance) -> bool:
    """Say whether all numbers of one image are 0, or rounding."""
    everything = (relevance.images, *relevance.evidence)
    return is_flat(relevance) or not any(bool(one.any()) for one in everything)


def make_evidence_cell(relevance: Relevance, place: int, item: Evidence, beside: int) -> MapCell:
    """Colour an evidence image's pixels on the scale of the image, or a multiple of it."""
    if not len(relevance.evidence[0]):
        return MapCell(None, ("looks at the image alone",))
    own, stored = relevance.images[0].sum(0), relevance.evidence[0].sum(1)  # (A, H, W)
    if has_nothing(relevance):
        return MapCell(None, ())
    limit = find_limit([own])
    factor = find_factor(limit, find_limit([*stored]))
    lines = [say_end(limit / factor)]
    if factor > 1:
        lines.append(f"{factor:,} times stronger colours")
    if relevance.ledger is not None:
        lines.append(f"sum {signed(float(stored[place].double().sum()))}")
    alt = f"map of training image {item.index} by {name_method(relevance.method)}"
    picture = draw_map_picture(colour(stored[place], limit / factor), alt, beside)
    return MapCell(picture, tuple(lines))


def say_end(limit: float) -> str:
    """Say at which number the colour is full."""
    return f"full colour at \N{PLUS-MINUS SIGN}{limit:.2g}"


def find_unexplained(relevance: Relevance) -> float:
    """Return the unexplained share of the change of one image's score; 0 without a ledger."""
    if relevance.ledger is None:
        return 0.0
    missing = abs(float(relevance.ledger[LOST_LINE][0]))
    change = abs(float(relevance.score[0]) - float(relevance.start[0]))
    return missing / change if change else float(missing > 0)


def say_unexplained(relevance: Relevance) -> str:
    """Warn where much of the score's change is not explained."""
    share = find_unexplained(relevance)
    if share <= LARGE_ERROR:
        return ""
    if share > 1:
        return "More is unexplained than explained: do not trust this map."
    return f"{percent(share)} of it is unexplained."


def make_ledger(relevance: Relevance) -> LedgerBar | None:
    """Lay the lines of one image's ledger out on a bar."""
    if relevance.ledger is None:
        return None
    amounts = {name: float(amount[0]) for name, amount in relevance.ledger.items()}
    whole = sum(abs(amount) for amount in amounts.values()) or 1.0
    zero = 100 * sum(-amount for amount in amounts.values() if amount < 0) / whole
    right, left, parts = zero, zero, []
    for name, amount in amounts.items():
        width = 100 * abs(amount) / whole
        left, right = (left - width, right) if amount < 0 else (left, right + width)
        begin = left if amount < 0 else right - width
        told = LINES.get(name, name)
        parts.append(LedgerPart(told, signed(amount), find_tone(name, amount), begin, width))
    return LedgerBar(say_change(relevance), zero, tuple(parts))


def find_tone(name: str, amount: float) -> AmountTone:
    """Say how a line of a ledger is coloured."""
    if name == LOST_LINE:
        return "missing"
    return "raises" if amount >= 0 else "lowers"


def say_change(relevance: Relevance) -> str:
    """Say what the lines of a ledger add up to."""
    score, start = float(relevance.score[0]), float(relevance.start[0])
    if start == 0:
        return f"score {signed(score)}:"
    begin, end = (format_number(value, ".3g") for value in (start, score))
    return f"{signed(score - start)}, from {begin} to {end}:"
