"""Numbers along a path as lines, with the stretch where the answer is open behind them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from whence.report.curve import STYLES, Line, Tick
from whence.report.numbers import MINUS

WIDTH, HEIGHT = 440, 216
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 24
"""Space for the numbers at the axes, in units of the drawing."""

MOST_LINES = 5
"""Lines of the grid above and below 0 together."""

SLIGHT = 0.02
"""Numbers below 0 by less than this share of the highest need no grid line below 0."""


@dataclass(frozen=True)
class Band:
    """A stretch of the path, in units of the drawing."""

    left: float
    width: float


@dataclass(frozen=True)
class PathPlot:
    """A drawing of numbers along a path; sizes in units of the drawing."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    zero: float
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    band: Band | None
    middle: float | None
    title: str
    label: str


def plot_path(
    curves: Sequence[tuple[str, Tensor]],
    *,
    steps: int,
    window: tuple[float, float, float],
    title: str,
    label: str,
) -> PathPlot:
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
    if not 1 <= len(curves) <= len(STYLES):
        raise ValueError(f"curves must be 1 to {len(STYLES)}, got {len(curves)}.")
    for name, numbers in curves:
        if len(numbers) not in (steps - 1, steps):
            raise ValueError(
                f"{name} must have {steps - 1} or {steps} numbers, got {len(numbers)}."
            )
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    values = [value for _, numbers in curves for value in numbers.tolist() if math.isfinite(value)]
    lowest, highest = min([0.0, *values]), max([0.0, *values])
    grid, low, high = choose_lines(0.0 if -lowest < SLIGHT * highest else lowest, highest)

    def across(step: float) -> float:
        return LEFT + (right - LEFT) * step / (steps - 1)

    def up(value: float) -> float:
        return bottom - (bottom - TOP) * (value - low * grid) / ((high - low) * grid)

    lines = []
    for (name, numbers), style in zip(curves, STYLES, strict=False):
        shift = (steps - len(numbers)) / 2
        points = [
            (across(step + shift), up(value) if math.isfinite(value) else math.nan)
            for step, value in enumerate(numbers.tolist())
        ]
        lines.append(Line(name, draw_path(points), *style))
    first, mean, last = window
    band = middle = None
    if math.isfinite(mean):
        start, end = (across(min(max(step, 0.0), steps - 1.0)) for step in (first, last))
        band, middle = Band(start, end - start), across(mean)
    return PathPlot(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        zero=up(0.0),
        lines=tuple(lines),
        across=tuple(
            Tick(across(step), str(step))
            for step in sorted({round((steps - 1) * part / 4) for part in range(5)})
        ),
        up=tuple(
            Tick(up(grid * n), f"{grid * n:.6g}".replace("-", MINUS)) for n in range(low, high + 1)
        ),
        band=band,
        middle=middle,
        title=title,
        label=label,
    )


def draw_path(points: Sequence[tuple[float, float]]) -> str:
    """Write the path of an SVG element; NaN leaves a gap.

    >>> draw_path([(0.0, 1.0), (2.0, 3.0), (4.0, float("nan")), (6.0, 5.0)])
    'M0.0 1.0 L2.0 3.0 M6.0 5.0'
    """
    parts, pen = [], "M"
    for x, y in points:
        if math.isnan(y):
            pen = "M"
        else:
            parts.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
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
