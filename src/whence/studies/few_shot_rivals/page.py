"""Figures of the study: bars of its measures, and images beside what explains them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from whence.report.figures import make_grid, show, to_bytes
from whence.studies.parts.findings import StudyFigure

Bars = Mapping[str, Sequence[float]]
"""A number of each seed, by name."""


def draw_rival_bars(panels: Sequence[tuple[str, Bars]]) -> StudyFigure:
    """Draw a panel of bars for each measure: mean over the seeds, and each seed as a dot.

    Args:
        panels: title and numbers by name, lower is better; the first bar stands out.
    """
    down = -(-len(panels) // 2)
    figure = Figure(figsize=(9.6, 2.2 * down), layout="constrained")
    grid = figure.subplots(down, 2, squeeze=False).flatten()
    for axes, (title, bars) in zip(grid, panels, strict=False):
        for place, numbers in enumerate(bars.values()):
            mean = sum(numbers) / len(numbers)
            axes.barh(place, mean, color="C0" if place == 0 else "silver", height=0.65)
            axes.plot(numbers, [place] * len(numbers), ".", color="black", markersize=4)
        axes.set_yticks(range(len(bars)), list(bars), fontsize=8)
        axes.invert_yaxis()
        axes.set_title(title, fontsize=9, loc="left")
        axes.tick_params(axis="x", labelsize=8)
        axes.locator_params(axis="x", nbins=4)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return StudyFigure(
        "measures",
        "Lower is better in every panel: mean over the seeds, and each seed as a dot; blue is what "
        "the claim is about.",
        to_bytes(figure),
    )


def draw_choices(rows: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> StudyFigure:
    """Draw asked images, the example that each rule chose, and the counterfactuals.

    Args:
        rows: of each asked image, by what it is, its pixels (lists of uint8) and its class.
        class_names: K names.
    """
    names = list(rows[0])
    figure, axes = make_grid([2] * len(rows), len(names))
    for line, row in enumerate(rows):
        for place, name in enumerate(names):
            item = row[name]
            words = [name if line == 0 else "", "none"]
            picture: Tensor | None = None
            if item is not None:
                picture = torch.tensor(item["pixels"], dtype=torch.uint8)
                words[1] = class_names[item["class"]]
            show(axes[line, place], picture, words, bold=place == 0)
    return StudyFigure(
        "choices",
        "Images (left, with the answer of Memory Wrap), the example that each rule chose, and "
        "counterfactuals, each with the class that the model puts it in.",
        to_bytes(figure),
    )
