"""The blocks of a run's classes: how many of each are found, and which is taken for which."""

from collections.abc import Sequence

from torch import Tensor

from whence.messages import count
from whence.records.overview import Overview
from whence.report.blocks import Bar, BarChart, NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import percent

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
    """Show recall and precision of every class, or of the worst ones where there are many."""
    shown = choose_classes(overview)
    counts = count_classes(overview.confusion)
    bars, rows = [], []
    for place in shown:
        name, (images, right, answers) = overview.class_names[place], counts[place]
        text = write_share(right, images)
        bars.append(Bar(name, right / images if images else 0.0, text, strong=bool(images)))
        cells = TableCell(text), TableCell(write_share(right, answers))
        rows.append(TableRow(name, "", cells))
    table = NumberTable("Recall and precision of every class", ("recall", "precision"), tuple(rows))
    return PageBlock(
        sentences=(*say_classes(overview), RECALL_WORDS),
        shown=(BarChart("Recall of every class", tuple(bars)), table),
    )


RECALL_WORDS = (
    "Recall is the share of the images of a class that are answered with it, as the bars show; "
    "precision is the share of the answers with a class that are right."
)


def count_classes(confusion: Tensor) -> list[tuple[int, int, int]]:
    """Count the images of every class, those answered rightly, and the answers with it.

    Args:
        confusion: `(K, K)` int64, rows are true classes.

    >>> import torch
    >>> count_classes(torch.tensor([[3, 1], [0, 2]]))
    [(4, 3, 3), (2, 2, 3)]
    """
    columns = confusion.sum(1).tolist(), confusion.diagonal().tolist(), confusion.sum(0).tolist()
    return list(zip(*columns, strict=True))


def write_share(part: int, whole: int) -> str:
    """Write a share with the counts that it rests on.

    >>> write_share(3, 4), write_share(0, 0)
    ('75.0% (3 of 4)', 'none (0 of 0)')
    """
    share = percent(part / whole) if whole else "none"
    return f"{share} ({part:,} of {whole:,})"


def say_balance(overview: Overview) -> tuple[str, ...]:
    """Say the balanced accuracy, and what becomes of the class of lowest recall."""
    counts = count_classes(overview.confusion)
    known = [place for place, (images, _, _) in enumerate(counts) if images]
    if len(known) < 2:
        return ()
    recalls = {place: counts[place][1] / counts[place][0] for place in known}
    balanced, worst = sum(recalls.values()) / len(known), min(known, key=recalls.__getitem__)
    images, right, answers = counts[worst]
    name, alike = overview.class_names[worst], list(recalls.values()).count(recalls[worst])
    which = "The class" if alike == 1 else f"One of the {alike:,} classes"
    return (
        f"With every class counting alike, however rare, {percent(balanced)} are right (balanced "
        f"accuracy over {len(known):,} classes). {which} found least often is {name}: recall "
        f"{write_share(right, images)}, precision {write_share(right, answers)}.",
    )


def choose_classes(overview: Overview) -> list[int]:
    """Take all classes in their order; of many only the ones with the lowest recall."""
    counts = count_classes(overview.confusion)
    if len(counts) <= LARGEST:
        return list(range(len(counts)))
    known = [place for place, (images, _, _) in enumerate(counts) if images]
    return sorted(known, key=lambda place: counts[place][1] / counts[place][0])[:LARGEST]


def say_classes(overview: Overview) -> tuple[str, ...]:
    """Say which classes are shown where not all are."""
    total = len(overview.class_names)
    if total <= LARGEST:
        return ()
    shown = len(choose_classes(overview))
    return (f"The {shown} of {total:,} classes with the lowest recall.",)


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
