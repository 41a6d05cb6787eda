"""Figures of the study, in the manner of the publications that it follows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.concepts.blocks import BLOCK_NAMES
from whence.studies.concepts.directions import LEVEL, ConceptTest

FIGURE_COLOURS = ("#0072b2", "#c04a00", "#007a5a", "#8f4f7f")

SHOWN_DIFFERENCES = 5


def draw_directions(
    layers: Sequence[str], tests: Mapping[str, Sequence[ConceptTest]], count: int
) -> bytes:
    """Draw scores of concepts with those of random directions behind, a group for each layer.

    Args:
        layers: in order.
        tests: by concept, the test of each layer.
        count: tests that share the level of significance.
    """
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(tests)
    for number, (name, some) in enumerate(tests.items()):
        places = np.arange(len(layers)) + (number - (len(tests) - 1) / 2) * width
        scores = [one.score for one in some]
        errors = [one.deviation for one in some]
        colour = FIGURE_COLOURS[number % len(FIGURE_COLOURS)]
        axes.bar(
            places,
            scores,
            width * 0.92,
            yerr=errors,
            color=colour,
            label=name,
            error_kw={"lw": 0.8, "ecolor": "#333"},
        )
        for place, one in zip(places, some, strict=True):
            if one.probability * count >= LEVEL:
                axes.text(
                    place, 0.02, "n. s.", ha="center", fontsize=7, color="white", fontweight="bold"
                )
    axes.axhline(0.5, color="#777", lw=0.8, ls="--")
    axes.set(xticks=range(len(layers)), xticklabels=layers, ylim=(0, 1.08), ylabel="TCAV score")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=len(tests), frameon=False)
    return to_bytes(figure)


def draw_probes(errors: Mapping[str, Sequence[float]], names: Sequence[str]) -> bytes:
    """Draw the mistakes of probes over depth, a line for each network."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, some) in enumerate(errors.items()):
        axes.plot(names, some, "o-" if number else "s--", color=FIGURE_COLOURS[number], label=name)
    axes.set(ylabel="mistakes of the probe", ylim=(0, None))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.legend(frameon=False)
    return to_bytes(figure)


def draw_convergence(
    traces: Mapping[str, Sequence[float]], grids: Mapping[str, Sequence[Sequence[float]]]
) -> bytes:
    """Draw how like its end each layer is over the epochs, and grids of layer against layer."""
    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    shapes = {"width_ratios": [1.5, *[1] * len(grids)]}
    axes = figure.subplots(1, 1 + len(grids), gridspec_kw=shapes)
    for number, (name, some) in enumerate(traces.items()):
        axes[0].plot(
            range(len(some)), some, "o-", ms=3, color=FIGURE_COLOURS[number % 4], label=name
        )
    axes[0].set(xlabel="epochs of training", ylabel="SVCCA with its own end", ylim=(0, 1.03))
    axes[0].legend(frameon=False, fontsize=8)
    drawn = None
    for axis, (title, grid) in zip(axes[1:], grids.items(), strict=True):
        drawn = axis.imshow(np.array(grid), vmin=0, vmax=1, cmap="viridis")
        ticks = range(len(grid))
        axis.set(
            xticks=ticks,
            yticks=ticks,
            xticklabels=[name[-1] for name in traces],
            yticklabels=[name[-1] for name in traces],
        )
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("block", fontsize=8)
        for row in ticks:
            for column in ticks:
                value = float(grid[row][column])
                axis.text(
                    column,
                    row,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="black" if value > 0.6 else "white",
                )
    if drawn is not None:
        figure.colorbar(drawn, ax=list(axes[1:]), shrink=0.8)
    return to_bytes(figure)


def draw_stethoscope(found: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw what the task gets right, and what is found of the factor, by what the branch does."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    series = {
        "task, dots say nothing": "accuracy",
        "dots, by the branch": "branch",
        "dots, by a new perceptron": "again",
    }
    for number, (label, key) in enumerate(series.items()):
        places = np.arange(len(found)) + (number - 1) * 0.26
        axes.bar(
            places,
            [one[key] for one in found.values()],
            0.24,
            label=label,
            color=FIGURE_COLOURS[number],
        )
    axes.axhline(0.5, color="#777", lw=0.8, ls="--")
    axes.set(xticks=range(len(found)), xticklabels=list(found), ylim=(0, 1.03), ylabel="right")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False, fontsize=8)
    return to_bytes(figure)


def draw_differences(found: Mapping[str, Any]) -> bytes:
    """Draw images, and what speaks for (red) and against (blue) their class."""
    rows = {
        "image": "images",
        "filled from\nother images": "marginal",
        "filled from the\nsurroundings": "conditional",
    }
    count = min(SHOWN_DIFFERENCES, len(found["images"]))
    figure = Figure(figsize=(1.5 * count + 1, 4.4), layout="constrained")
    axes = figure.subplots(len(rows), count, squeeze=False)
    limit = max(float(np.abs(found[key][:count]).max()) for key in ("marginal", "conditional"))
    for line, (label, key) in zip(axes, rows.items(), strict=True):
        for axis, values, mask in zip(line, found[key], found["masks"], strict=False):
            shown = np.array(values)
            if key == "images":
                axis.imshow(shown, cmap="gray", vmin=0, vmax=1)
            else:
                axis.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit)
                axis.contour(np.array(mask), levels=[0.5], colors="black", linewidths=0.8)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, fontsize=8)
    return to_bytes(figure)


def draw_units(found: Mapping[str, Mapping[str, Mapping[str, float]]], name: str) -> bytes:
    """Draw how well the best and the middle unit, and a direction, detect a concept, by layer."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    series = {
        "direction": "direction_precision",
        "best unit": "best_precision",
        "middle unit": "middle_precision",
    }
    for number, (label, key) in enumerate(series.items()):
        axes.plot(
            BLOCK_NAMES,
            [found[layer][name][key] for layer in BLOCK_NAMES],
            "o-",
            color=FIGURE_COLOURS[number],
            label=label,
        )
    rate = found[BLOCK_NAMES[0]][name]["base_rate"]
    axes.axhline(rate, color="#777", lw=0.8, ls="--", label="by chance")
    axes.set(ylabel=f"average precision for {name}", ylim=(0, 1.03))
    axes.legend(frameon=False, fontsize=8)
    return to_bytes(figure)
