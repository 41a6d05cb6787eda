"""Draw docs/evidence.png: unseen images, answers, and the training images they came from.

    python tools/evidence_picture.py RUN docs/evidence.png [--places 0 1 2]

Needs matplotlib. RUN was trained on a named dataset or a folder that is still there.
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import torch

import whence
from whence.runs.finished import read_settings
from whence.runs.images import load_data

SHOWN, GREY, RED = 6, "#8a8f98", "#c0392b"


def main() -> None:
    """Draw one row per image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--places", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    model = whence.load(options.run)
    dataset = load_data(read_settings(options.run))
    names = model.class_names
    images = dataset.test.images[torch.tensor(options.places)]
    figure, axes = plt.subplots(
        len(images), SHOWN + 1, figsize=(9, 1.75 * len(images)), squeeze=False
    )
    for row, image, place, answer in zip(
        axes, images, options.places, whence.predict(model, images), strict=True
    ):
        share = float(answer.probabilities[answer.predicted])
        truth = names[int(dataset.test.labels[place])]
        verdict = "" if truth == names[answer.predicted] else f"\n(it is: {truth})"
        show(row[0], image, f"{names[answer.predicted]} {share:.0%}{verdict}", "black", 2.0)
        for axis in row[1:]:
            axis.axis("off")
        for axis, item in zip(row[1:], answer.evidence, strict=False):
            axis.axis("on")
            colour = GREY if item.role == "example" else RED
            label = names[item.label] if item.label is not None else ""
            pixels = dataset.train.images[item.index]
            show(axis, pixels, f"{item.weight:.0%}  {label}", colour, 1.5)
    axes[0][0].set_title("answer", fontsize=9, color="black")
    axes[0][1].set_title("computed from", fontsize=9, color=GREY, loc="left")
    figure.tight_layout(h_pad=0.6)
    figure.savefig(options.out, dpi=110)
    print(f"wrote {options.out}")


def show(axis: plt.Axes, image: torch.Tensor, text: str, colour: str, width: float) -> None:
    """Draw one image with a coloured frame and a line of text below."""
    pixels = image.permute(1, 2, 0)
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_xlabel(text, fontsize=9, color=colour)
    for spine in axis.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(width)


if __name__ == "__main__":
    main()
