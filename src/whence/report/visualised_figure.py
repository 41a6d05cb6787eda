"""What units look for as a figure."""

from collections.abc import Sequence

from whence.records.picture import colour, find_limit
from whence.records.visualised import VisualisedUnit
from whence.report.cards import name_label
from whence.report.figures import Grid, make_grid, show, to_bytes


def draw_visualised(units: Sequence[VisualisedUnit], class_names: Sequence[str]) -> bytes:
    """Draw three lines for each unit: inputs made for it, patches, and their projections.

    Returns:
        A PNG file.
    """
    columns = max(max(len(unit.made), len(unit.patches)) for unit in units)
    figure, axes = make_grid([3, 2, 0] * len(units), columns)
    for number, unit in enumerate(units):
        fill_unit(axes[3 * number : 3 * number + 3], unit, class_names)
    return to_bytes(figure)


def fill_unit(axes: Grid, unit: VisualisedUnit, classes: Sequence[str]) -> None:
    """Draw one unit into three lines of axes."""
    for column, made in enumerate(unit.made):
        words = [unit.name] if column == 0 else []
        words += [made.kept_natural_by, f"{made.activation:.3g}"]
        show(axes[0, column], made.image, words, bold=column == 0)
    for column, found in enumerate(unit.patches):
        words = [name_label(found.label, classes), f"{found.activation:.3g}"]
        show(axes[1, column], found.patch, words)
        show(axes[2, column], colour(found.projection, find_limit([found.projection])), [])
