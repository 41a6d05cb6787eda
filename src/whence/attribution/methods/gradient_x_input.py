"""Gradient times input: the first term of a Taylor series that starts at zero."""

from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score
from whence.attribution.slopes import find_all_slopes

PRODUCT = (
    "A pixel's number is its value times the slope of the score there, in units of the score: what "
    "the score would lose if it were a straight line and the pixel went to 0."
)


def gradient_x_input(score: Score, images: Tensor) -> FoundRelevance:
    """Multiply every value of the images, and of their evidence, by the slope of the score there.

    Shrikumar et al. (2016), arXiv:1605.01713. Exact where the score is a straight line through 0;
    biases and curves are what stays unexplained. A value of 0 (black in a classifier of ours) gets
    nothing, whatever it means.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.

    Returns:
        Signed parts of the score, in score units.
    """
    slopes, stored_slopes = find_all_slopes(score, images)
    found, evidence = slopes * score.pixels(images), score.evidence
    if stored_slopes is not None and evidence is not None:
        stored_slopes = stored_slopes * evidence
    return FoundRelevance(found, stored_slopes, PRODUCT, lines={})


GRADIENT_X_INPUT = Method("gradient_x_input", gradient_x_input, adds_up=True, lighter="evidence")
