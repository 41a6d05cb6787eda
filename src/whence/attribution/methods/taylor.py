"""Simple Taylor decomposition: the slope at a root near the image, times the way from there."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.rivals import find_rivals
from whence.attribution.score import Score, batches, find_slopes, find_values, score_images

LINE_HALVINGS = 40
"""How often the way to a root is halved."""


def taylor(score: Score, images: Tensor, *, rivals: Tensor | None = None) -> FoundRelevance:
    """Expand a score at a root on the way from each image to one of another class.

    Bach et al. (2015), 10.1371/journal.pone.0130140, section "Taylor-type decomposition": the root
    is found by halving the line to the nearest image of another class. Where the score does not
    cross 0 on that line, the point is taken where it is halfway between its two ends. What the
    straight line misses is left unexplained. The evidence stays as it is.

    Args:
        score: of B images; the difference of two logits has its root where both classes are equal.
        images: `(B, C, H, W)`.
        rivals: `(B, C, H, W)` one image of another class for each, in the units of ``images``; None
            takes the nearest stored image, pixel by pixel, whose label is not the answer.

    Returns:
        Signed parts in score units; they add up to the score minus that of the root, but for what
        a straight line misses.

    Raises:
        ValueError: if there are no rivals, or they do not fit.
        RuntimeError: if the score has no gradient.
    """
    pixels = score.pixels(images)
    others = find_rivals(score, pixels, rivals)
    roots, crossed = find_line_roots(score, pixels, others)
    slopes = torch.cat([find_slopes(part, some)[0] for part, some in batches(score, roots)])
    return FoundRelevance(
        slopes * (pixels - roots),
        None,
        say_roots(int(crossed.sum()), len(crossed), "stored" if rivals is None else "given"),
        start=score_images(score, roots),
        lines={},
    )


def find_line_roots(score: Score, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Halve the lines from images to others, both `(B, C, H, W)`, until the roots are found.

    Returns:
        Roots `(B, C, H, W)`, a hair on the image's side; and `(B,)` bool, where the score is 0
        there rather than halfway between both ends.
    """
    ends, begins = find_values(score, images), score_images(score, others)
    crossed = ends * begins <= 0
    level = torch.where(crossed, 0, (ends + begins) / 2)
    low, high = torch.zeros_like(images[:, 0, 0, 0]), torch.ones_like(images[:, 0, 0, 0])
    for _ in range(LINE_HALVINGS):
        middle = (low + high) / 2
        values = score_images(score, stand_between(others, images, middle))
        near = (values >= level) == (ends >= level)
        low, high = torch.where(near, low, middle), torch.where(near, middle, high)
    return stand_between(others, images, high), crossed


def stand_between(starts: Tensor, ends: Tensor, times: Tensor) -> Tensor:
    """Stand at times `(B,)` on the lines from starts to ends, both `(B, C, H, W)`."""
    return torch.lerp(starts, ends, times[:, None, None, None])


def say_roots(crossed: int, total: int, source: str) -> str:
    """Say what was done, and for how many images no root was found."""
    sentence = (
        "A pixel's number is the slope of the score at a point on the way to the nearest "
        f"{source} image of another class, times how far the pixel is from there, in units of the "
        "score. The point is the root of the score"
    )
    if crossed == total:
        return sentence + "."
    if total == 1:
        return sentence[: sentence.index(" The point")] + (
            " The score does not cross 0 on that way, so the point is where it is halfway."
        )
    return (
        f"{sentence} for {crossed} of {total} images; for the others it does not cross 0 on that "
        "way, and the point is where it is halfway."
    )


TAYLOR = Method("taylor", taylor, adds_up=True)
