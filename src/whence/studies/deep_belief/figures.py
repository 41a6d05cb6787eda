"""The figures: maximisers from nine starts, clamped samples, three ways side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.parts.findings import StudyFigure

WIDEST_ROW = 10
"""Pictures beside each other."""


def draw_belief(
    found: Mapping[str, Mapping[str, Any]], shape: tuple[int, int]
) -> tuple[StudyFigure, ...]:
    """Draw everything of the first seed.

    Args:
        found: of each kind of network, its layers.
        shape: (H, W) of the pictures.
    """
    last = len(found["DBN"]["layers"]) - 1
    middle = min(1, last)
    belief = found["DBN"]["layers"][middle]
    rows = {
        "layers": [
            (f"{kind}, layer {depth + 1}", take_first_starts(layer))
            for kind, network in found.items()
            for depth, layer in enumerate(network["layers"])
        ],
        "starts": [
            (f"{kind}, unit {place + 1}", pictures)
            for kind, network in found.items()
            for place, pictures in enumerate(network["layers"][last]["maximisers"][:4])
        ],
        "samples": [
            (f"unit {place + 1}", [mean, *some])
            for place, (mean, some) in enumerate(
                zip(belief["means"][:6], belief["samples"][:6], strict=True)
            )
        ],
        "ways": [
            ("samples, mean", belief["means"]),
            ("filters, combined", belief["combinations"]),
            ("maximised", take_first_starts(belief)),
        ],
    }
    captions = caption_belief(last + 1, middle + 1)
    return tuple(
        StudyFigure(name, captions[name], draw_rows(some, shape)) for name, some in rows.items()
    )


def take_first_starts(layer: Mapping[str, Any]) -> list[Sequence[float]]:
    """Take what the first of the starts led to, of every unit of a layer."""
    return [one[0] for one in layer["maximisers"]]


def caption_belief(last: int, middle: int) -> dict[str, str]:
    """Say what the figures show, of the last layer and of one in the middle."""
    return {
        "layers": "What excites units most, layer by layer: one picture a unit.",
        "starts": f"Units of layer {last}, maximised from nine random starts: a row a unit. "
        "Pictures in a row are alike where the unit has one maximum alone.",
        "samples": f"Pictures that the deep belief net makes while a unit of layer {middle} is "
        "kept on: a row a unit, the mean of all in front.",
        "ways": f"Units of layer {middle} of the deep belief net in three ways, a column a unit: "
        "the mean of its samples, the filters below added up, and what excites it most.",
    }


def draw_rows(
    rows: Sequence[tuple[str, Sequence[Sequence[float]]]], shape: tuple[int, int]
) -> bytes:
    """Draw rows of pictures, each with its own scale of grey; a PNG file.

    Args:
        rows: a name, and pictures of H W pixels.
        shape: (H, W).
    """
    columns = min(WIDEST_ROW, max(len(pictures) for _, pictures in rows))
    figure = Figure(figsize=(1.6 + 0.85 * columns, 0.87 * len(rows) + 0.05))
    panels = figure.subplots(len(rows), columns, squeeze=False)
    figure.subplots_adjust(1.6 / (1.6 + 0.85 * columns), 0.01, 0.995, 0.99, 0.05, 0.05)
    for line, (name, pictures) in zip(panels, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        show_belief_row(line, name, pictures, shape)
    return to_bytes(figure)


def show_belief_row(
    line: Sequence[Axes], name: str, pictures: Sequence[Sequence[float]], shape: tuple[int, int]
) -> None:
    """Draw the pictures of one row, with its name before them."""
    for axes, pixels in zip(line, pictures, strict=False):
        axes.imshow(torch.tensor(pixels).view(shape).numpy(), cmap="gray")
    line[0].text(-0.1, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=8)
