"""Figures of the study: paths with their masks and features, and morphs of both sources."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from whence.records.picture import colour, find_limit
from whence.report.figures import make_grid, show, to_bytes
from whence.studies.parts.findings import StudyFigure
from whence.studies.path_on_activations.compare_morphs import BY_AUTOENCODER, BY_GAN
from whence.studies.path_on_activations.followed_views import LAYER_MAPS

SHORT_NAMES_OF_VIEWS = {LAYER_MAPS: "map"}


def draw_paths(pictures: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> StudyFigure:
    """Draw both ends of paths, the mask on pixels, and the features that masks choose.

    Args:
        pictures: at least one, each with its classes, pixels, mask and features.
        class_names: K names.
    """
    figure, axes = make_grid([2] * len(pictures), 3 + len(pictures[0]["features"]))
    for line, one in enumerate(pictures):
        own, other = (class_names[label] for label in one["classes"])
        show(axes[line, 0], torch.tensor(one["other"], dtype=torch.uint8), ["path from", other])
        show(axes[line, 1], torch.tensor(one["self"], dtype=torch.uint8), ["to", own], bold=True)
        mask = torch.tensor(one["mask"])
        show(axes[line, 2], colour(mask, find_limit([mask])), ["mask on pixels", "+ red, - blue"])
        for place, feature in enumerate(one["features"], 3):
            values = torch.tensor(feature["map"]) * (1 if feature["rises"] else -1)
            name = SHORT_NAMES_OF_VIEWS.get(feature["name"], "x-feature")
            words = [f"{name} {feature['number']}", "rises" if feature["rises"] else "falls"]
            show(axes[line, place], colour(values, find_limit([values])), words)
    return StudyFigure(
        "paths",
        "Each line: where a path starts and ends, the pixels that a mask lets follow (red: "
        "brighter, blue: darker), then the two most important feature maps and x-features of the "
        "masks on these, shown by the pixels that excite them. Red: the feature rises along the "
        "path, shown on its end; blue: it falls, shown on its start.",
        to_bytes(figure),
    )


def draw_morphs(pictures: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> StudyFigure:
    """Draw images and what both sources make of them.

    Args:
        pictures: at least one, each with its classes and pixels by source.
        class_names: K names.
    """
    names = ("image", BY_AUTOENCODER, BY_GAN)
    figure, axes = make_grid([2] * len(names), len(pictures))
    for place, one in enumerate(pictures):
        own, other = (class_names[label] for label in one["classes"])
        for line, name in enumerate(names):
            words = [name, own if line == 0 else f"to {other}"]
            pixels = torch.tensor(one[name], dtype=torch.uint8)
            show(axes[line, place], pixels, words, bold=line == 0)
    return StudyFigure(
        "morphs",
        "Images of two classes that the network takes for each other most easily, and the same "
        "turned into the other class: by the autoencoder's morph and by the conditional GAN.",
        to_bytes(figure),
    )
