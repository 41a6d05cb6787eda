"""Edges: a control that sees the image and knows nothing of the score."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score

STEEPNESS = (
    "A pixel's number is how steep the image is there (Sobel), per unit of its values. It says "
    "nothing of the score: a method whose maps look like this one may only find edges."
)


def edges(score: Score, images: Tensor) -> FoundRelevance:
    """Find the edges of the images, and of their evidence.

    The length of Sobel's gradient of the mean over the channels (an edge detector as a control:
    Adebayo et al. 2018, arXiv:1810.03292), divided by 8, so that a ramp that grows by 1 per pixel
    has 1. The border is continued outwards.

    Args:
        score: of B images; only its evidence is looked at.
        images: `(B, C, H, W)`.

    Returns:
        Numbers of at least 0, shared equally by the channels.
    """
    evidence = score.evidence
    return FoundRelevance(
        find_edges(score.pixels(images)),
        None if evidence is None else find_edges(evidence),
        STEEPNESS,
    )


def find_edges(images: Tensor) -> Tensor:
    """Find the edges of images `(n, C, H, W)`; the same shape, equal in all channels.

    >>> find_edges(torch.arange(3.0).repeat(1, 1, 3, 1))[0, 0, 1]
    tensor([0.5000, 1.0000, 0.5000])
    """
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(images) / 8
    grey = pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    slopes = conv2d(grey, torch.stack([across, across.T])[:, None])  # (n, 2, H, W)
    channels = images.shape[1]
    lengths = slopes.square().sum(1, keepdim=True).sqrt()
    return (lengths / channels).expand(-1, channels, -1, -1)


EDGES = Method("edges", edges, adds_up=False)
