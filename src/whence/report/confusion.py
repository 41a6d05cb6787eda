"""Which classes are taken for which, as a shaded table or as a list."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from whence.report.numbers import count, percent

LARGEST = 20
"""Classes up to which there is a table; beyond it only the list of pairs can be read."""

PAIRS = 20
"""Pairs that the list has where there is no table."""

FEW_PAIRS = 5
"""Pairs that are named below a table."""

RIGHT, WRONG = (31, 95, 153), (176, 98, 16)
"""Blue for right answers and amber for errors, which colour-blind eyes tell apart."""

STRONGEST = 0.5
"""Share of the full colour in the darkest cell, so that dark figures stay readable on it."""


@dataclass(frozen=True)
class Cell:
    """One number, its colour and what a reader who points at it is told."""

    number: int
    colour: str
    title: str


@dataclass(frozen=True)
class Row:
    """Images of one true class, by answer."""

    name: str
    cells: tuple[Cell, ...]


def shade(confusion: Tensor, classes: Sequence[str]) -> tuple[Row, ...]:
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
            cells.append(Cell(number, mix(RIGHT if right else WRONG, strength), title))
        rows.append(Row(classes[truth], tuple(cells)))
    return tuple(rows)


def mix(colour: tuple[int, int, int], strength: float) -> str:
    """Mix a colour with white, for CSS; strength in [0, 1] of the strongest mix.

    >>> mix((31, 95, 153), 0.0), mix((55, 155, 255), 1.0)
    ('#ffffff', '#9bcdff')
    """
    parts = (round(255 + (part - 255) * STRONGEST * strength) for part in colour)
    return "#" + "".join(f"{part:02x}" for part in parts)


def say_pairs(confusion: Tensor, classes: Sequence[str], *, pairs: int) -> tuple[str, ...]:
    """Name the classes that are most often taken for another one, most images first.

    Args:
        confusion: `(K, K)` int64, rows are true classes.
        classes: names.
        pairs: how many to name at most; only those that occur are.
    """
    totals = confusion.sum(1).tolist()
    errors = confusion.clone().fill_diagonal_(0)
    # nonzero goes row by row, and sorting keeps that order among equal numbers
    places = sorted(errors.nonzero().tolist(), key=lambda pair: -int(errors[pair[0], pair[1]]))
    sentences = []
    for truth, answer in places[:pairs]:
        number = int(errors[truth, answer])
        share = percent(number / totals[truth])
        sentences.append(
            f"{classes[truth]} taken for {classes[answer]}: {number:,} of "
            f"{count(totals[truth], 'image')} ({share})"
        )
    return tuple(sentences)
