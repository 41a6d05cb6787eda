"""Several attribution methods on the same images as a figure."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from whence.records.gallery import AttributedImage, Gallery
from whence.records.picture import colour, find_factor, find_limit
from whence.records.relevance import Relevance
from whence.report.cards import name_label
from whence.report.figures import Grid, make_grid, show, to_bytes
from whence.report.gallery_blocks import (
    NO_SHARES,
    find_unexplained,
    has_nothing,
    make_ledger,
    name_method,
    say_end,
)
from whence.report.numbers import percent

FACES = {"raises": "#b2182b", "lowers": "#2166ac", "missing": "#9aa5b1"}
"""Colours of the pieces of a ledger's bar."""


def draw_gallery(gallery: Gallery, class_names: Sequence[str]) -> bytes:
    """Draw a line for each image and for each shown evidence image, a column for each method.

    Args:
        gallery: at least one image and one method.
        class_names: one name per class.

    Returns:
        A PNG file; under each map of an image a bar shows where the score went.
    """
    counts = [count_rows(asked, gallery.shown_evidence) for asked in gallery.images]
    lines = [line for number in counts for line in (4, *([2] * number))]
    figure, axes = make_grid(lines, 1 + len(gallery.images[0].relevance))
    row = 0
    for asked, number in zip(gallery.images, counts, strict=True):
        fill_asked(axes[row : row + 1 + number], asked, class_names)
        row += 1 + number
    return to_bytes(figure)


def count_rows(asked: AttributedImage, shown: int) -> int:
    """Count the evidence images of an image that a method says something of, up to ``shown``."""
    known = max(len(one.evidence[0]) for one in asked.relevance)
    return min(shown, known)


def fill_asked(axes: Grid, asked: AttributedImage, classes: Sequence[str]) -> None:
    """Draw one image and its evidence into lines of axes, the first column for the pictures."""
    words = [classes[asked.prediction.predicted], asked.name, asked.relevance[0].target[0]]
    show(axes[0, 0], asked.image, words, bold=True)
    for place, item in enumerate(asked.prediction.evidence[: len(axes) - 1]):
        words = [f"weight {percent(item.weight)}", name_label(item.label, classes)]
        show(axes[1 + place, 0], asked.stored[item.index].image, words)
    for column, relevance in enumerate(asked.relevance, start=1):
        fill_method(axes[:, column], relevance)


def fill_method(axes: Grid, relevance: Relevance) -> None:
    """Draw one column: the map of the image with its ledger, and those of its evidence."""
    words = [name_method(relevance.method)]
    if has_nothing(relevance):
        show(axes[0], None, [*words, "nothing to show"])
        return
    own = relevance.images[0].sum(0)  # (H, W)
    limit = find_limit([own])
    missing = find_unexplained(relevance)
    told = NO_SHARES if relevance.ledger is None else f"{missing:.1%} unexplained"
    show(axes[0], colour(own, limit), [*words, say_end(limit), told])
    draw_ledger(axes[0], relevance)
    stored = relevance.evidence[0].sum(1)  # (A, H, W)
    factor = find_factor(limit, find_limit([*stored])) if len(stored) else 1
    for place, one in enumerate(stored[: len(axes) - 1]):
        text = f"{factor:,} times stronger" if factor > 1 else ""
        show(axes[1 + place], colour(one, limit / factor), [text] if text else [])


def draw_ledger(axes: Axes, relevance: Relevance) -> None:
    """Draw the bar of one image's ledger beneath its map."""
    ledger = make_ledger(relevance)
    if ledger is None:
        return
    beneath = axes.inset_axes((0, -0.09, 1, 0.06))
    beneath.set(xlim=(0, 100), ylim=(0, 1), xticks=[], yticks=[])
    beneath.set_axis_off()
    for part in ledger.parts:
        beneath.barh(0.5, part.width, 1, part.left, color=FACES[part.tone], edgecolor="white")
    beneath.axvline(ledger.zero, color="black", linewidth=0.8)
