"""Figures of the study: what rules keep of an image, and images changed to another class."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from whence.report.figures import make_grid, show, to_bytes
from whence.studies.parts.findings import StudyFigure

HIDDEN_SHADE = (205, 218, 235)
"""Of regions that a rule says nothing about: a colour that no grey image has."""


def draw_rules(pictures: Sequence[Mapping[str, Any]]) -> StudyFigure:
    """Draw images, the regions of their anchors, and as many of LIME's.

    Args:
        pictures: each with its pixels, the regions' numbers, and two rules (None: there is none).
    """
    columns = {"image": None, "anchor": "rule", "LIME, as many": "LIME"}
    figure, axes = make_grid([1] * len(columns), len(pictures))
    for place, one in enumerate(pictures):
        image = torch.tensor(one["image"], dtype=torch.uint8)
        numbers = torch.tensor(one["numbers"])
        for line, (name, rule) in enumerate(columns.items()):
            shown: Tensor | None = image
            if rule is not None:
                kept = one[rule]
                shown = None if kept is None else keep_regions(image, numbers, kept)
            words = [name if place == 0 else ("" if shown is not None else "none")]
            show(axes[line, place], shown, words)
    return StudyFigure(
        "rules",
        "Above, images. Middle, the regions of their anchors: whatever stands in the shaded ones, "
        "the answer stays with a precision of 95%. Below, as many regions of largest number by "
        "LIME.",
        to_bytes(figure),
    )


def keep_regions(image: Tensor, numbers: Tensor, kept: Sequence[int]) -> Tensor:
    """Shade an image `(C, H, W)` uint8 outside some of its regions `(H, W)`; `(3, H, W)`."""
    colour = torch.tensor(HIDDEN_SHADE, dtype=torch.uint8)[:, None, None]
    inside = torch.isin(numbers, torch.tensor(list(kept)))
    return torch.where(inside, image.expand(3, -1, -1), colour)


def draw_exemplars(
    pictures: Sequence[Mapping[str, Any]], class_names: Sequence[str]
) -> StudyFigure:
    """Draw images, their decoded codes, and what they were changed to.

    Args:
        pictures: each with the two classes, and pixels by name.
        class_names: K names.
    """
    names = [name for name in pictures[0] if name != "classes"]
    short = {
        "xGEM, on the manifold": "xGEM",
        "morph of the package": "morph",
        "the same search in pixels": "in pixels",
    }
    figure, axes = make_grid([2] * len(pictures), len(names))
    for line, one in enumerate(pictures):
        own, other = (class_names[label] for label in one["classes"])
        for place, name in enumerate(names):
            label = own if place < 2 else f"to {other}"
            words = [short.get(name, name) if line == 0 else "", label]
            pixels = torch.tensor(one[name], dtype=torch.uint8)
            show(axes[line, place], pixels, words, bold=place == 0)
    return StudyFigure(
        "exemplars",
        "Images, what the autoencoder makes of them, and the same changed to the class that the "
        "network finds second: on the autoencoder's manifold twice, and in pixels, where nothing "
        "keeps them real.",
        to_bytes(figure),
    )
