"""Gradient: how fast a score changes with each value of an image."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score, batches, find_slopes

SLOPE = (
    "A pixel's number is the slope of the score there: by how much the score would grow per unit "
    "of the pixel's value, if that changed a little."
)


def gradient(score: Score, images: Tensor) -> FoundRelevance:
    """Differentiate a score at the images, and at their evidence.

    Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034, section 3; they then show the largest
    absolute value over the channels, here all values come back with their signs.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.

    Returns:
        Signed slopes, in score units per unit of a value; they add up to nothing in particular.
    """
    images_found: list[Tensor] = []
    evidence_found: list[Tensor] = []
    for part, some in batches(score, images):
        stored = part.evidence
        slopes = find_slopes(part, some, *([] if stored is None else [stored]))
        images_found.append(slopes[0])
        evidence_found += slopes[1:]
    return FoundRelevance(
        torch.cat(images_found), torch.cat(evidence_found) if evidence_found else None, SLOPE
    )


GRADIENT = Method("gradient", gradient, adds_up=False)
