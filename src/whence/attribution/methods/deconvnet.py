"""Deconvnet: back through a network with rectifiers that rectify what comes back."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.node import Node
from whence.attribution.graph.rectified import find_rectified, is_saturated
from whence.attribution.method import Method
from whence.attribution.score import Score


def deconvnet(score: Score, images: Tensor) -> FoundRelevance:
    """Send 1 back from the score; each rectifier passes on what is above 0, whatever its input was.

    Zeiler and Fergus (2014), arXiv:1311.2901, section 2.1. Max pools send back to the largest, all
    else is the gradient. A rectifier that is bounded above (ReLU6) passes nothing where it is at
    its bound; a smooth one (GELU, SiLU) is treated as a plain one.

    Args:
        score: of B images; of votes the weight of a class.
        images: `(B, C, H, W)`.

    Returns:
        Signed numbers that add up to nothing in particular, of images and of their evidence.

    Raises:
        RuntimeError: if the score does not depend on the images.
    """
    return find_rectified(
        score, images, rectify_back, words="deconvnet: rectifiers hold back what is below 0"
    )


def rectify_back(node: Node, arriving: Tensor) -> Tensor:
    """Pass on what is above 0, and nothing where the rectifier is at its upper bound."""
    passed, saturated = arriving.clamp(min=0), is_saturated(node)
    return passed if saturated is None else torch.where(saturated, 0, passed)


DECONVNET = Method("deconvnet", deconvnet, adds_up=False, lighter="pixels")
