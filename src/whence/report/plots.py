"""Curves in a coordinate system, as the geometry that an SVG element is written from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from whence.messages import format_number
from whence.records.overview import Curve
from whence.report.blocks import Line, LinePlot, Tick

WIDTH, HEIGHT = 440, 236
TOP, BOTTOM = 12, 24
"""Space above and below the axes, in units of the drawing."""

LETTER = 7.7
"""Width of a digit in units of the drawing, in the widest of the fonts that a page may have."""

MOST_LINES = 5
"""Lines of the grid above and below 0 together."""

SLIGHT = 0.02
"""Numbers below 0 by less than this share of the highest need no grid line below 0."""

STYLES = (
    ("#0072b2", "none", 2.6),
    ("#c04a00", "7 3", 1.8),
    ("#007a5a", "2 3", 2.2),
    ("#8f4f7f", "9 3 2 3", 1.8),
)
"""Colour, dashes and width of each line: told apart without colour, too."""

Points = Sequence[tuple[float, float]]
"""Places across and up, in units of what is drawn; NaN or infinity leave a gap."""


def plot_risks(curves: Sequence[Curve], names: Sequence[str]) -> LinePlot:
    """Draw curves of risk (up, from 0) over coverage (across, 0 % to 100 %).

    Args:
        curves: at least one, at most as many as there are styles.
        names: what the legend calls each.

    Raises:
        ValueError: if there is no curve, or more than can be told apart.
    """
    return plot_lines(
        [
            (name, tuple(zip(curve.coverages, curve.risks, strict=True)))
            for curve, name in zip(curves, names, strict=True)
        ],
        ends=(0.0, 1.0),
        ticks=[(part / 5, f"{part / 5:.0%}") for part in range(6)],
        percent=True,
        label="Share of wrong answers among the images that are answered, when the most doubtful "
        "ones are left out",
        up_name="wrong among the images answered",
        across_name="images answered, the least doubtful first",
        caption="The lower a line, the better its sign of doubt. All lines end where every image "
        "is answered; they begin at 5% of the images.",
    )


def plot_path(
    curves: Sequence[tuple[str, Tensor]],
    *,
    steps: int,
    window: tuple[float, float, float],
    title: str,
    label: str,
) -> LinePlot:
    """Draw numbers over the steps of a path.

    Args:
        curves: name and numbers `(n,)`, at least one, at most as many as there are styles; numbers
            that are NaN or infinite leave a gap.
        steps: of the path; the numbers of n = steps stand at the steps, those of n = steps - 1
            between two of them.
        window: where the band starts, its mean, and where it ends, in steps; NaN for no band.
        title: what stands above.
        label: what it says to those who cannot see it.

    Raises:
        ValueError: if there is no curve, more than can be told apart, or one of another length.
    """
    for name, numbers in curves:
        if len(numbers) not in (steps - 1, steps):
            raise ValueError(
                f"{name} must have {steps - 1} or {steps} numbers, got {len(numbers)}."
            )
    first, mean, last = window
    end = steps - 1.0
    marks = sorted({round(end * part / 4) for part in range(5)})
    return plot_lines(
        [
            (name, [(step + (steps - len(ys)) / 2, y) for step, y in enumerate(ys.tolist())])
            for name, ys in curves
        ],
        ends=(0.0, end),
        ticks=[(step, str(step)) for step in marks],
        title=title,
        label=label,
        across_name="step",
        band=(max(0.0, first), mean, min(last, end)) if math.isfinite(mean) else None,
        band_name="window",
    )


def plot_lines(
    curves: Sequence[tuple[str, Points]],
    *,
    ends: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    label: str,
    title: str = "",
    percent: bool = False,
    up_name: str = "",
    across_name: str = "",
    band: tuple[float, float, float] | None = None,
    band_name: str = "",
    caption: str = "",
) -> LinePlot:
    """Draw curves with 0 and all their numbers between grid lines, and room for every label.

    Curves that lie on each other are one line, with the names of all.

    Args:
        curves: name and points of each, at least one, at most as many as there are styles.
        ends: of the horizontal axis.
        ticks: places on it, in order, and their texts.
        label: what the drawing shows, for those who cannot see it.
        title: what stands above.
        percent: numbers up are shares, written as percentages.
        up_name: of the vertical axis.
        across_name: of the horizontal axis.
        band: where a shaded stretch begins, its middle and its end; None without one.
        band_name: what the legend calls it.
        caption: a sentence below.

    Raises:
        ValueError: if there is no curve, or more than can be told apart.
    """
    if not 1 <= len(curves) <= len(STYLES):
        raise ValueError(f"curves must be 1 to {len(STYLES)}, got {len(curves)}.")
    values = [y for _, points in curves for _, y in points if math.isfinite(y)]
    lowest, highest = min([0.0, *values]), max([0.0, *values])
    grid, low, high = choose_lines(0.0 if -lowest < SLIGHT * highest else lowest, highest)
    marks = [(grid * n, write_tick(grid * n, grid, percent=percent)) for n in range(low, high + 1)]
    frame = PlotFrame(
        left=10 + LETTER * max(len(text) for _, text in marks),
        right=WIDTH - 4 - LETTER * len(ticks[-1][1]) / 2,
        ends=ends,
        heights=(low * grid, high * grid),
    )
    across, up = frame.across, frame.up
    return LinePlot(
        title=title,
        label=label,
        width=WIDTH,
        height=HEIGHT,
        left=frame.left,
        right=frame.right,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        zero=up(0.0),
        lines=merge_lines(
            [(name, [(across(x), up(y)) for x, y in points]) for name, points in curves]
        ),
        across=tuple(Tick(across(place), text) for place, text in ticks),
        up=tuple(Tick(up(place), text) for place, text in marks),
        up_name=up_name,
        across_name=across_name,
        band=None if band is None else (across(band[0]), across(band[1]), across(band[2])),
        band_name=band_name,
        caption=caption,
    )


class PlotFrame(NamedTuple):
    """Where the axes are, and what stands at their ends.

    Attributes:
        left, right: of the horizontal axis, in units of the drawing.
        ends: of the numbers across.
        heights: of the numbers up.
    """

    left: float
    right: float
    ends: tuple[float, float]
    heights: tuple[float, float]

    def across(self, x: float) -> float:
        """Place a number across, in units of the drawing."""
        first, last = self.ends
        return self.left + (self.right - self.left) * (x - first) / (last - first)

    def up(self, y: float) -> float:
        """Place a number up, in units of the drawing, which grow downwards."""
        (low, high), bottom = self.heights, HEIGHT - BOTTOM
        return bottom - (bottom - TOP) * (y - low) / (high - low)


def merge_lines(curves: Sequence[tuple[str, Points]]) -> tuple[Line, ...]:
    """Draw curves, at most as many as there are styles; one line for those on the same places.

    >>> [line.name for line in merge_lines([("a", [(0, 1)]), ("b", [(0, 2)]), ("c", [(0, 1)])])]
    ['a, c (the same line)', 'b']
    """
    names: dict[str, list[str]] = {}
    for name, points in curves:
        names.setdefault(draw_path(points), []).append(name)
    return tuple(
        Line(", ".join(own) + (" (the same line)" if len(own) > 1 else ""), path, *style)
        for (path, own), style in zip(names.items(), STYLES, strict=False)
    )


def write_tick(value: float, step: float, *, percent: bool) -> str:
    """Write a number at a grid line; ``step`` is the distance to the next one.

    >>> write_tick(0.05, 0.05, percent=True), write_tick(0.002, 0.001, percent=True)
    ('5%', '0.2%')
    >>> write_tick(0.30000000000000004, 0.1, percent=False), write_tick(2e-7, 1e-7, percent=False)
    ('0.3', '2e−07')
    """
    if percent:
        return f"{value:.{0 if step >= 0.01 else 1}%}"
    return format_number(value, ".6g")


def draw_path(points: Points) -> str:
    """Write the path of an SVG element; NaN and infinity leave a gap.

    >>> draw_path([(0.0, 1.0), (2.0, 3.0), (4.0, float("nan")), (6.0, 5.0)])
    'M0.0 1.0 L2.0 3.0 M6.0 5.0'
    """
    parts, pen = [], "M"
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    return " ".join(parts)


def choose_lines(lowest: float, highest: float) -> tuple[float, int, int]:
    """Choose the distance of grid lines, and the first and the last of them, 0 among them.

    Args:
        lowest: at most 0.
        highest: at least 0.

    Raises:
        ValueError: if one of them is NaN or infinite.

    >>> choose_lines(0.0, 1.0), choose_lines(-0.01, 0.12), choose_lines(0.0, 0.0)
    ((0.2, 0, 5), (0.05, -1, 3), (1.0, 0, 1))
    """
    if not math.isfinite(highest - lowest):
        raise ValueError(f"lowest and highest must be numbers, got {lowest} and {highest}.")
    if highest == lowest:
        return 1.0, 0, 1
    power = math.floor(math.log10(highest - lowest)) - 1
    steps = (digit * 10.0**more for more in range(power, power + 3) for digit in (1, 2, 5))
    found = ((step, *enclose(lowest, highest, step)) for step in steps)
    step, low, high = next(one for one in found if one[2] - one[1] <= MOST_LINES)
    return float(f"{step:.3g}"), low, high


def enclose(lowest: float, highest: float, step: float) -> tuple[int, int]:
    """Number the lines at or below the lowest and at or above the highest."""
    return math.floor(round(lowest / step, 6)), math.ceil(round(highest / step, 6))
