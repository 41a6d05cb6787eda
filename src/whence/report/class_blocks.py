"""The blocks of a run's classes: how many of each are found, and which is taken for which."""

from collections.abc import Sequence

from torch import Tensor

from whence.records.overview import Overview
from whence.report.blocks import Bar, BarChart, NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import count, percent

LARGEST = 20
"""Classes up to which there is a table of all; beyond it only a list of pairs can be read."""

PAIRS = 20
"""Pairs that the list has where there is no table of all."""

FEW_PAIRS = 5
"""Pairs that are listed below a table of all."""

RIGHT, WRONG = (31, 95, 153), (176, 98, 16)
"""Blue for right answers and amber for errors, which colour-blind eyes tell apart."""

STRONGEST = 0.5
"""Share of the full colour in the darkest cell, so that dark figures stay readable on it."""


def show_recall(overview: Overview) -> PageBlock:
    """Give every class a bar for its recall, or the worst ones where there are many."""
    totals = overview.confusion.sum(1).tolist()
    bars = []
    for place in choose_classes(overview):
        recall = overview.evaluation.per_class[place]
        name, images = overview.class_names[place], f"{totals[place]:,}"
        if recall is None:
            bars.append(Bar(name, 0.0, "no image"))
        else:
            bars.append(Bar(name, recall, f"{percent(recall)} of {images}", strong=True))
    return PageBlock(
        sentences=say_classes(overview), shown=(BarChart("Accuracy per class", tuple(bars)),)
    )


def choose_classes(overview: Overview) -> list[int]:
    """Take all classes in their order; of many only the ones with the lowest accuracy."""
    per_class = overview.evaluation.per_class
    if len(per_class) <= LARGEST:
        return list(range(len(per_class)))
    known = [place for place, accuracy in enumerate(per_class) if accuracy is not None]
    return sorted(known, key=lambda place: per_class[place] or 0.0)[:LARGEST]


def say_classes(overview: Overview) -> tuple[str, ...]:
    """Say which classes are shown where not all are."""
    total = len(overview.class_names)
    if total <= LARGEST:
        return ()
    shown = len(choose_classes(overview))
    return (f"The {shown} of {total:,} classes with the lowest accuracy.",)


def show_confusion(overview: Overview) -> PageBlock:
    """Show which classes are taken for which."""
    names, confusion = overview.class_names, overview.confusion
    small = len(names) <= LARGEST
    shown = (shade_confusion(confusion, names),) if small else ()
    pairs = list_pairs(confusion, names, pairs=FEW_PAIRS if small else PAIRS)
    after = () if pairs else ("No image was taken for one of another class.",)
    return PageBlock("Which class is taken for which", shown=(*shown, *pairs), after=after)


def shade_confusion(confusion: Tensor, classes: Sequence[str]) -> NumberTable:
    """Lay the counts out as rows of shaded cells.

    Right answers are shaded by their share of the row; errors by theirs, relative to the largest
    such share, because errors are few.

    Args:
        confusion: `(K, K)` int64, rows are true classes.
        classes: names.
    """
    shares = confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)  # (K, K)
    errors = shares.clone().fill_diagonal_(0)
    largest = float(errors.max()) or 1.0
    rows = []
    for truth, (numbers, parts) in enumerate(zip(confusion.tolist(), shares.tolist(), strict=True)):
        total = count(sum(numbers), "image")
        cells = []
        for answer, (number, part) in enumerate(zip(numbers, parts, strict=True)):
            right = answer == truth
            strength = part if right else part / largest
            title = f"{number:,} of {total} of {classes[truth]} answered {classes[answer]}"
            shade = mix_with_white(RIGHT if right else WRONG, strength)
            cells.append(TableCell(str(number), shade, title, faint=number == 0))
        rows.append(TableRow(classes[truth], "", tuple(cells)))
    return NumberTable(
        label="Images by true class and answer",
        header=tuple(classes),
        rows=tuple(rows),
        layout="matrix",
        caption="Rows are true classes, columns are the model's answers. Blue: right, darker for a "
        "larger share of the row. Amber: wrong, darker for more, on a scale of its own.",
    )


def mix_with_white(colour: tuple[int, int, int], strength: float) -> str:
    """Mix a colour with white, for CSS; strength in [0, 1] of the strongest mix.

    >>> mix_with_white((31, 95, 153), 0.0), mix_with_white((55, 155, 255), 1.0)
    ('#ffffff', '#9bcdff')
    """
    parts = (round(255 + (part - 255) * STRONGEST * strength) for part in colour)
    return "#" + "".join(f"{part:02x}" for part in parts)


def list_pairs(confusion: Tensor, classes: Sequence[str], *, pairs: int) -> tuple[NumberTable, ...]:
    """List the classes that are most often taken for another one, most images first.

    Args:
        confusion: `(K, K)` int64, rows are true classes.
        classes: names.
        pairs: how many to list at most; only those that occur are.

    Returns:
        A table, or none where no image is taken for one of another class.
    """
    totals = confusion.sum(1).tolist()
    errors = confusion.clone().fill_diagonal_(0)
    # nonzero goes row by row, and sorting keeps that order among equal numbers
    places = sorted(errors.nonzero().tolist(), key=lambda pair: -int(errors[pair[0], pair[1]]))
    rows = []
    for truth, answer in places[:pairs]:
        number = int(errors[truth, answer])
        share = percent(number / totals[truth])
        text = f"{number:,} of {count(totals[truth], 'image')} ({share})"
        name = f"{classes[truth]} taken for {classes[answer]}"
        rows.append(TableRow(name, "", (TableCell(text),)))
    if not rows:
        return ()
    return (NumberTable("Most often confused", ("images of the class",), tuple(rows)),)
