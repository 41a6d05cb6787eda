"""By how much relevance misses what the score loses without a square of the image."""

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness

LARGEST_SQUARE = 2
"""The longest side of a square is the shorter side of the image divided by this."""


def infidelity(
    attributed: Attributed,
    *,
    generator: torch.Generator,
    squares: int = 100,
    scaled: bool = True,
) -> MeasuredFaithfulness:
    """Compare the relevance of random squares with the fall of the score without them.

    Yeh, Hsieh, Suggala, Inouye and Ravikumar (2019), arXiv:1901.09392, definition 2.1 with square
    removal: the mean squared difference of the two.

    Args:
        attributed: images and their relevance.
        generator: of the squares, the same for all images.
        squares: how many.
        scaled: first multiply the relevance of each image with the factor that is best for it, so
            that maps of other units can be compared; the sign can turn around.

    Returns:
        Squared units of the score, lower is better.
    """
    height, width = attributed.relevance.shape[1:]
    sets = draw_squares(squares, height, width, generator)
    whole = attributed.score(attributed.images)
    falls = attributed.once(
        ("infidelity", squares),
        lambda: torch.stack([whole - attributed.score(attributed.hide(one)) for one in sets], 1),
        generator,
    )  # (B, squares)
    told = attributed.relevance.flatten(1).double() @ sets.flatten(1).double().T
    if scaled:
        lengths = told.square().sum(1, keepdim=True)
        best = (told * falls).sum(1, keepdim=True) / lengths
        told = told * best.where(lengths > 0, 0)
    return MeasuredFaithfulness((told - falls).square().mean(1))


def draw_squares(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw squares inside an image, with sides of 1 to half of the shorter one.

    Returns:
        `(count, height, width)` bool.
    """
    longest = max(1, min(height, width) // LARGEST_SQUARE)
    sides = torch.randint(1, longest + 1, (count,), generator=generator)
    tops, lefts = (
        (torch.rand(count, generator=generator) * (length - sides + 1)).long()
        for length in (height, width)
    )
    rows, columns = torch.arange(height), torch.arange(width)
    down = (rows >= tops[:, None]) & (rows < (tops + sides)[:, None])
    across = (columns >= lefts[:, None]) & (columns < (lefts + sides)[:, None])
    return down[:, :, None] & across[:, None, :]


INFIDELITY = FaithfulnessMeasure(
    "infidelity",
    infidelity,
    better="lower",
    question="By how much the relevance of random squares, on the best scale, misses the fall of "
    "the score without them, squared.",
)
