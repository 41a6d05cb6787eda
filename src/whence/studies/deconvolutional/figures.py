"""Figures of the study: filters, reconstructions, denoising, recognition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.deconvolutional.recognise import KINDS_TOGETHER
from whence.studies.parts.findings import StudyFigure

MOST_PATTERNS = 18

CURVE_COLOURS = {
    "layer 1": "#c04a00",
    "layer 2": "#007a5a",
    "patches": "#0072b2",
    "layer 1, p = 2/3": "#e69f00",
    "layer 1, p = 1/2": "#cc79a7",
}


def draw_pattern_rows(rows: Mapping[str, Sequence[Any]]) -> bytes:
    """Draw patterns `(h, w)` side by side, a row for each kind, each with a scale of its own."""
    lines = [
        (name if start == 0 else "", patterns[start : start + MOST_PATTERNS // 2])
        for name, patterns in rows.items()
        for start in range(0, min(len(patterns), MOST_PATTERNS), MOST_PATTERNS // 2)
    ]
    figure = Figure(figsize=(7.4, 0.78 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), MOST_PATTERNS // 2, squeeze=False)
    for line, (name, patterns) in zip(grid, lines, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, pattern in zip(line, patterns, strict=False):
            shown = np.array(pattern)
            limit = float(np.abs(shown).max()) or 1.0
            axis.imshow(shown, cmap="gray", vmin=-limit, vmax=limit)
        line[0].text(
            -0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=8
        )
    return to_bytes(figure)


def draw_rebuilt(found: Mapping[str, Any]) -> bytes:
    """Draw pieces, and what layers rebuild_input of them with switches and with means."""
    layers = range(len(found["switches"]["pictures"]))
    rows = {"input": found["images"]}
    for how, words in (("switches", "switches"), ("means", "means")):
        for layer in layers:
            rows[f"layer {layer + 1},\n{words}"] = found[how]["pictures"][layer]
    count = len(found["images"])
    figure = Figure(figsize=(1.15 * len(rows) + 0.2, 1.15 * count + 0.4), layout="constrained")
    grid = figure.subplots(count, len(rows), squeeze=False)
    for column, (name, pictures) in enumerate(rows.items()):
        grid[0, column].set_title(name, fontsize=8)
        for row in range(count):
            axis = grid[row, column]
            axis.set_axis_off()
            axis.imshow(np.array(pictures[row]), cmap="gray", vmin=-3, vmax=3)
    return to_bytes(figure)


def draw_denoised(found: Mapping[str, Any]) -> bytes:
    """Draw what is won over how many numbers are used, and some pieces."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.1, 1))[0]
    axes = left.subplots()
    for name, some in found["curves"].items():
        used, ratios = ([one[key] for one in some] for key in ("used", "ratio"))
        axes.plot(used, ratios, "o-", color=CURVE_COLOURS[name], label=name)
    axes.axhline(found["noisy"], color="#777", lw=0.8, ls="--", label="noisy")
    axes.set(xscale="log", xlabel="numbers used, by the pixels", ylabel="signal to noise, dB")
    axes.legend(frameon=False, fontsize=8)
    count = min(3, len(found["pictures"][0]))
    grid = right.subplots(count, 3, squeeze=False)
    for column, name in enumerate(("clean", "noisy", "layer 1")):
        grid[0, column].set_title(name, fontsize=8)
        for row in range(count):
            grid[row, column].set_axis_off()
            picture = np.array(found["pictures"][column][row])
            grid[row, column].imshow(picture, cmap="gray", vmin=0, vmax=1)
    return to_bytes(figure)


def draw_recognised(found: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw accuracies as bars, a group for each kind of maps."""
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.add_subplot()
    amounts = list(next(iter(found.values())))
    places = np.arange(len(KINDS_TOGETHER))
    height = 0.8 / len(amounts)
    for number, amount in enumerate(amounts):
        axes.barh(
            places + (number - (len(amounts) - 1) / 2) * height,
            [found[name][amount] for name in KINDS_TOGETHER],
            height * 0.9,
            color=("#0072b2", "#c04a00", "#007a5a")[number % 3],
            label=f"{amount} images a class",
        )
    axes.set(yticks=places, yticklabels=list(KINDS_TOGETHER), xlabel="accuracy")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return to_bytes(figure)


def draw_deconvolution(first: Mapping[str, Any]) -> tuple[StudyFigure, ...]:
    """Draw what the first seed found."""
    filters = {name: some["pictures"] for name, some in first["filters"].items()}
    return (
        StudyFigure(
            "filters",
            "Filters of both layers, those of the second projected down to pixels (published, "
            "Zeiler et al. 2010: edges, then junctions and corners). Below, words of patches that "
            "are coded one by one (scikit-learn).",
            draw_pattern_rows({**filters, "patches": first["denoising"]["words"]}),
        ),
        StudyFigure(
            "switches",
            "Zeiler et al. 2011: what each of three layers rebuilds of the input, where pooling "
            "keeps the places of its maxima (switches), and where it takes means.",
            draw_rebuilt(first["switches"]),
        ),
        StudyFigure(
            "denoising",
            "Denoising over how many numbers a code uses: the further up and left the better.",
            draw_denoised(first["denoising"]),
        ),
        StudyFigure(
            "recognition",
            "Spatial pyramid matching on the maps of both networks, few images of each class.",
            draw_recognised(first["recognition"]),
        ),
    )
