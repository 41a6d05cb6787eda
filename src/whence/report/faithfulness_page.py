"""A page on how faithful attribution methods are to a model."""

import base64

from whence.messages import count, format_number
from whence.records.explained import Origin
from whence.records.faithfulness import CellSummary, Faithfulness, MeasureFacts
from whence.report.blocks import (
    Glossary,
    Illustration,
    NumberTable,
    Page,
    PageBlock,
    PageSection,
    TableCell,
    TableRow,
)
from whence.report.embedded import Picture
from whence.report.page import list_facts, note_all, render_page

COLUMNS_TOGETHER = 6
"""Measures side by side in one table."""

PICTURE_WIDTH = 900
"""CSS pixels."""

NO_RANKING = (
    "No number here ranks the methods: measures ask different questions, contradict each other, "
    "and change with what stands in the place of hidden pixels. A method that fails a check is not "
    "to be trusted on that question; one that passes all is not thereby right."
)

ABOUT_CURVES = (
    "Means over the images. To the right more pixels are hidden or shown, the sets are larger, or "
    "more layers are randomised, as the measure says."
)

ARROWS = {"higher": "higher is better", "lower": "lower is better"}


def render_faithfulness(found: Faithfulness, origin: Origin, curves: bytes | None) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        found: methods by measures.
        origin: what all was computed from, for the foot of the page.
        curves: a PNG file, or None without a curve.

    Returns:
        HTML; every name in it is escaped.
    """
    sections = [
        PageSection("table", "Methods and measures", show_tables(found), jump="Table"),
        PageSection("failures", "What fails", (show_failures(found),), jump="What fails"),
    ]
    if curves is not None:
        sections.append(PageSection("curves", "Curves", (show_curves(curves),), jump="Curves"))
    questions = PageBlock(shown=(Glossary(tuple(map(say_question, found.measures)), strong=True),))
    sections.append(
        PageSection("questions", "What the measures ask", (questions,), jump="Measures")
    )
    return render_page(
        Page(
            title=f"How faithful attribution is to the run {origin.run}",
            head=(PageBlock(sentences=say_table(found)), *note_all(origin)),
            sections=tuple(sections),
            foot=(list_facts(origin),),
        )
    )


def say_table(found: Faithfulness) -> tuple[str, ...]:
    """Say what was measured, and how it is to be read."""
    again = ""
    if found.again < found.images:
        again = f" Measures that ask a method again look at the first {found.again}."
    return (
        f"{count(len(found.methods), 'row')} by {count(len(found.measures), 'measure')}, on "
        f"{count(found.images, 'test image')}; explained is the logit of the predicted class, and "
        f"the relevance of a pixel is summed over its channels. Hidden pixels become "
        f"{found.refill}.{again}",
        NO_RANKING,
        *found.notes,
    )


def show_tables(found: Faithfulness) -> tuple[PageBlock, ...]:
    """Lay the table out, a few measures at a time."""
    parts = [
        found.measures[first : first + COLUMNS_TOGETHER]
        for first in range(0, len(found.measures), COLUMNS_TOGETHER)
    ]
    tables = tuple(
        NumberTable(
            label="Mean of each measure for each method",
            header=tuple(f"{one.name} ({ARROWS[one.better]})" for one in part),
            rows=tuple(
                TableRow(
                    method,
                    "control" if method in found.controls else "",
                    tuple(show_summary(found.cells[method, one.name]) for one in part),
                )
                for method in found.methods
            ),
        )
        for part in parts
    )
    sentence = (
        "Mean over the images, and its 95% interval (bootstrap over images). A cross marks a "
        "method that is not better than the control of the measure, image by image, or misses its "
        "limit. Where only some images have a number (most measures have none of a map that is the "
        "same everywhere) the cell says of how many; where none has, it is a dash."
    )
    return (PageBlock(sentences=(sentence,), shown=tables),)


def show_summary(cell: CellSummary) -> TableCell:
    """Write a cell as text."""
    return TableCell(write_cell(cell), title=cell.refused, faint=cell.passes is False)


def write_cell(cell: CellSummary) -> str:
    """Write a mean with its interval, of how many images if not of all, and a cross for a failure.

    >>> write_cell(CellSummary(0.5, 0.25, 0.75, 3, 4, False, None, ""))
    '0.5 [0.25, 0.75] of 3 \N{MULTIPLICATION SIGN}'
    """
    if cell.mean is None or cell.low is None or cell.high is None:
        return "\N{EN DASH}"
    mean, low, high = (format_number(one, ".3g") for one in (cell.mean, cell.low, cell.high))
    some = f" of {cell.images:,}" if cell.images < cell.looked_at else ""
    cross = " \N{MULTIPLICATION SIGN}" if cell.passes is False else ""
    return f"{mean} [{low}, {high}]{some}{cross}"


def show_failures(found: Faithfulness) -> PageBlock:
    """List for each measure the methods that fail its check, and methods that gave nothing."""
    entries = [
        (name, ", ".join(failed) or "none")
        for name, failed in found.list_failures().items()
        if any(found.cells[method, name].passes is not None for method in found.methods)
    ]
    refused = {(method, cell.refused) for (method, _), cell in found.cells.items() if cell.refused}
    shown = [Glossary(tuple(entries), strong=True)] if entries else []
    after = tuple(f"No number of {method}: {reason}" for method, reason in sorted(refused))
    return PageBlock(
        sentences=("Methods that do not do better than the control, by measure.",),
        shown=tuple(shown),
        after=after,
    )


def show_curves(curves: bytes) -> PageBlock:
    """Show the picture of the curves."""
    uri = "data:image/png;base64," + base64.b64encode(curves).decode()
    picture = Picture(uri, "Curves of every method, a panel for each measure", PICTURE_WIDTH, False)
    return PageBlock(shown=(Illustration(picture, ABOUT_CURVES),))


def say_question(measure: MeasureFacts) -> tuple[str, str]:
    """Say what a measure asks, which way is better, and what it is compared with."""
    check = "It has no check."
    if measure.limit is not None:
        check = f"Check: the mean is at most {measure.limit:g}."
    elif measure.control:
        check = f"Check: better than {measure.control}, image by image."
    return measure.name, f"{measure.question} {ARROWS[measure.better].capitalize()}. {check}"
