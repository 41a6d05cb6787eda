"""Gradient: how fast a score changes with each value of an image."""

from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score
from whence.attribution.slopes import find_all_slopes

SLOPE = (
    "A pixel's number is the slope of the score there: by how much the score would grow per unit "
    "of the pixel's value, if that changed a little."
)


def gradient(score: Score, images: Tensor) -> FoundRelevance:
    """Differentiate a score at the images, and at their evidence.

    Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034, section 3; they then show the largest
    absolute value over the channels, which ``Relevance.channel_maximum`` makes of this; here all
    values come back with their signs.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.

    Returns:
        Signed slopes, in score units per unit of a value; they add up to nothing in particular.
    """
    return FoundRelevance(*find_all_slopes(score, images), SLOPE)


GRADIENT = Method("gradient", gradient, adds_up=False, lighter="evidence")
