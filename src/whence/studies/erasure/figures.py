"""Figures in the manner of the paper's: heatmaps of dimensions, of layers, and of words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.parts.findings import StudyFigure
from whence.studies.parts.sentences.networks import SENTENCE_READERS

CASE_TITLES = {
    "plain": "no dropout",
    "dropout": "dropout 0.2",
    "one removed": "largest dimension removed, trained again",
    "two removed": "the two largest removed, trained again",
}

TITLES_OF_NETWORKS = {kind: reader.title for kind, reader in SENTENCE_READERS.items()}


def draw_erasure(found: Mapping[str, Any], judged: str) -> tuple[StudyFigure, ...]:
    """Draw everything of one seed.

    Args:
        found: its parts.
        judged: the features that the claim is judged by.
    """
    own = found["features"][judged]
    figures = [
        StudyFigure(
            "dimensions",
            "Share of the importance that each dimension has for each task: as in figure 1 of the "
            "paper, the darker a cell, the more the loss grows when the dimension is set to 0.",
            draw_dimensions(own),
        ),
        StudyFigure(
            "layers",
            "How unevenly importance is spread over the units of each layer, mean over tasks.",
            draw_layers(own),
        ),
        StudyFigure(
            "words",
            "What each word does for the right answer: on red, the loss grows without the word, on "
            "blue it falls; full colour is the largest of each network.",
            draw_sentences(found["words"], TITLES_OF_NETWORKS),
        ),
    ]
    if "evidence" in found:
        sets = found["evidence"]
        figures.append(
            StudyFigure(
                "evidence",
                "How many answers change when the right stored images are left out.",
                draw_set_sizes(sets["sizes"], sets["greedy"], sets["largest"]),
            )
        )
    return tuple(figures)


def draw_dimensions(found: Mapping[str, Any]) -> bytes:
    """Draw the share of importance of every dimension, one panel for each way to train.

    Args:
        found: as ``erase_dimensions`` makes it.

    Returns:
        A PNG file; all panels have the same scale.
    """
    figure = Figure(figsize=(8.6, 6.6), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(len(CASE_TITLES), 1, sharex=True)
    limit = max(np.quantile(found[name]["shares"], 0.995) for name in CASE_TITLES)
    for panel, (name, title) in zip(panels, CASE_TITLES.items(), strict=True):
        shown = panel.imshow(
            100 * np.array(found[name]["shares"]),
            aspect="auto",
            cmap="Reds",
            vmin=0,
            vmax=100 * limit,
            interpolation="nearest",
        )
        panel.set_yticks(range(len(found["tasks"])), found["tasks"], fontsize=8)
        panel.tick_params(labelsize=8)
        panel.set_title(title, fontsize=9, loc="left")
    panels[-1].set_xlabel("dimension of the feature vector", fontsize=9)
    bar = figure.colorbar(shown, ax=list(panels), shrink=0.6, extend="max")
    bar.set_label("share of the importance (%)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return to_bytes(figure)


def draw_layers(found: Mapping[str, Any]) -> bytes:
    """Draw the shares of importance in each layer, largest first; a PNG file."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    names = ("features", "hidden layer 1", "hidden layer 2")
    for shares, name, style in zip(found["layers"], names, ("-", "--", ":"), strict=True):
        panel.plot(range(1, len(shares) + 1), 100 * np.sort(shares)[::-1], style, label=name)
    panel.set_xlabel("units in order of importance", fontsize=9)
    panel.set_ylabel("share of the importance (%)", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.set_ylim(bottom=0)
    panel.legend(fontsize=8, frameon=False)
    return to_bytes(figure)


def draw_sentences(found: Mapping[str, Any], titles: Mapping[str, str]) -> bytes:
    """Draw how much each word of some sentences matters to each network; a PNG file.

    Args:
        found: as ``erase_words`` makes it.
        titles: names of networks for people.
    """
    kinds = [*titles]
    sentences = found[kinds[0]]["sentences"]
    height = 0.95 * len(sentences)
    figure = Figure(figsize=(8.6, height), layout="constrained")
    panels: Sequence[Axes] = [*figure.subplots(len(sentences), 1, squeeze=False)[:, 0]]
    for number, panel in enumerate(panels):
        rows = [np.array(found[kind]["sentences"][number]["nats"]) for kind in kinds]
        grid = np.stack([row / max(np.abs(row).max(), 1e-12) for row in rows])
        panel.imshow(grid, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        words = sentences[number]["words"]
        size = 8 if len(words) <= 16 else 6
        panel.set_xticks(range(len(words)), words, fontsize=size, rotation=25, ha="right")
        panel.set_yticks(range(len(kinds)), [titles[kind] for kind in kinds], fontsize=7)
        panel.tick_params(length=0)
    return to_bytes(figure)


def draw_set_sizes(exact: Sequence[int], greedy: Sequence[int], largest: int) -> bytes:
    """Draw how many answers hang on at most how many stored images, by both searches; a PNG file.

    Args:
        exact: sizes of the smallest sets, 0 where none was found.
        greedy: those of the greedy search.
        largest: size at which the exact search ended.
    """
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    sizes = np.arange(1, largest + 1)
    for counts, name, style in ((exact, "exact search", "o-"), (greedy, "greedy search", "s--")):
        values = np.array(counts)
        panel.plot(
            sizes,
            [100 * ((values > 0) & (values <= size)).mean() for size in sizes],
            style,
            label=name,
        )
    panel.set_xticks(sizes)
    panel.set_xlabel("stored images left out, at most", fontsize=9)
    panel.set_ylabel("answers changed (%)", fontsize=9)
    panel.set_ylim(bottom=0)
    panel.tick_params(labelsize=8)
    panel.legend(fontsize=8, frameon=False)
    return to_bytes(figure)
