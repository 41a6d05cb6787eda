"""Relevance of pixels for one answer, on demand, as coloured pictures."""

from typing import Any

import torch
from torch import Tensor

from whence.attribution import METHODS
from whence.attribution.attribute import attribute
from whence.attribution.progress import telling
from whence.messages import format_number
from whence.models.classifier import Classifier
from whence.records.picture import colour, find_limit, to_data_uri
from whence.viewer.jobs import Told

IN_VIEWER = ("gradient_x_input", "integrated_gradients", "lrp", "grad_cam", "occlusion")
"""Methods that are offered, the quickest first."""


def list_offered(model: Classifier) -> list[str]:
    """List the methods that a model can be asked with."""
    pixels = model.bank is None or model.bank.images is not None
    return [name for name in IN_VIEWER if name in METHODS] if pixels else []


def draw_heatmaps(model: Classifier, image: Tensor, method: str, tell: Told) -> dict[str, Any]:
    """Find the relevance of the pixels of an image `(C, H, W)` and of its evidence.

    Raises:
        ValueError: on a method that is not offered, or cannot be had for this model.
    """
    offered = list_offered(model)
    if method not in offered:
        raise ValueError(f"The method must be one of {', '.join(offered)}, got {method[:40]}.")
    with telling(tell), torch.enable_grad():
        found = attribute(model, image[None], method)
    own = found.images[0].sum(0)
    stored = [one.sum(0) for one in found.evidence[0]]
    limit = find_limit([own])
    near = find_limit(stored) if stored else 1.0
    return {
        "image": to_data_uri(colour(own, limit)),
        "evidence": [to_data_uri(colour(one, near)) for one in stored],
        "words": (
            f"Red raises, blue lowers the {found.target[0]}, which is "
            f"{format_number(float(found.score[0]), '.3g')}. {found.words}"
        ).strip(),
    }
