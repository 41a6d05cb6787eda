"""Guided backpropagation: the gradient, where it and the input of every rectifier are above 0."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.node import Node
from whence.attribution.graph.pull import pull
from whence.attribution.graph.rectified import find_rectified
from whence.attribution.method import Method
from whence.attribution.score import Score


def guided_backprop(score: Score, images: Tensor) -> FoundRelevance:
    """Send 1 back from the score; each rectifier passes on what is above 0 where its input was.

    Springenberg et al. (2015), arXiv:1412.6806, section 3.4. A smooth rectifier (GELU, SiLU)
    multiplies by its slope there, which for a plain one is 1.

    Args:
        score: of B images; of votes the weight of a class.
        images: `(B, C, H, W)`.

    Returns:
        Signed numbers that add up to nothing in particular, of images and of their evidence.

    Raises:
        RuntimeError: if the score does not depend on the images.
    """
    return find_rectified(
        score,
        images,
        guide_back,
        words="guided backpropagation: rectifiers hold back what is below 0, there and on the way",
    )


def guide_back(node: Node, arriving: Tensor) -> Tensor:
    """Pass on the gradient of what is above 0, where the rectifier's input is above 0."""
    ((slot, passed),) = pull(node, [arriving.clamp(min=0)])
    return torch.where(slot.value > 0, passed, 0)


GUIDED_BACKPROP = Method("guided_backprop", guided_backprop, adds_up=False, lighter="pixels")
