"""Lines in a coordinate system, as the geometry that an SVG element is written from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from whence.records.overview import Curve

WIDTH, HEIGHT = 440, 256
LEFT, RIGHT, TOP, BOTTOM = 44, 20, 12, 24
"""Space for the numbers at the axes, in units of the drawing."""

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Distances between the lines of the grid."""

MOST_LINES = 5
"""Lines of the grid above 0."""

STYLES = (
    ("#0072b2", "none", 2.6),
    ("#c04a00", "7 3", 1.8),
    ("#007a5a", "2 3", 2.2),
    ("#8f4f7f", "9 3 2 3", 1.8),
)
"""Colour, dashes and width of each line: told apart without colour, too."""


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
class Plot:
    """A drawing of curves; sizes in units of the drawing."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def plot(curves: Sequence[Curve], names: Sequence[str]) -> Plot:
    """Draw curves of risk (up, from 0) over coverage (across, 0 % to 100 %).

    Args:
        curves: at least one, at most as many as there are styles.
        names: what the legend calls each.

    Raises:
        ValueError: if there is no curve, or more than can be told apart.
    """
    if not 1 <= len(curves) <= len(STYLES):
        raise ValueError(f"curves must be 1 to {len(STYLES)}, got {len(curves)}.")
    step, lines = choose_grid(max(risk for curve in curves for risk in curve.risks))
    highest = step * lines
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(share: float) -> float:
        return LEFT + (right - LEFT) * share

    def up(risk: float) -> float:
        return bottom - (bottom - TOP) * risk / highest

    drawn = []
    for curve, name, style in zip(curves, names, STYLES, strict=False):
        points = zip(curve.coverages, curve.risks, strict=True)
        path = "M" + " L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in points)
        drawn.append(Line(name, path, *style))
    digits = 0 if step >= 0.01 else 1
    return Plot(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        lines=tuple(drawn),
        across=tuple(Tick(across(part / 5), f"{part / 5:.0%}") for part in range(6)),
        up=tuple(Tick(up(step * n), f"{step * n:.{digits}%}") for n in range(lines + 1)),
    )


def choose_grid(highest: float) -> tuple[float, int]:
    """Choose the distance of grid lines, and how many of them reach a share in [0, 1].

    >>> choose_grid(0.163), choose_grid(0.0), choose_grid(1.0)
    ((0.05, 4), (0.001, 1), (0.2, 5))
    """
    for step in STEPS:
        lines = max(1, math.ceil(round(highest / step, 6)))
        if lines <= MOST_LINES:
            return step, lines
    raise ValueError(f"highest must be a share in [0, 1], got {highest}.")
