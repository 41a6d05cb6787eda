"""Area under the curve of the probability while the most relevant pixels are inserted."""

import torch

from whence.metrics.attributed import Attributed, read_probability
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.pixel_order import count_hidden, draw_curve


def insertion(
    attributed: Attributed, *, generator: torch.Generator, steps: int = 20
) -> MeasuredFaithfulness:
    """Compute the area under the probability of the class while pixels come back.

    Petsiuk, Das and Saenko (2018), arXiv:1806.07421, section 4.2, by the trapezoidal rule: from an
    image of which all is hidden, the most relevant pixels are shown first.

    Args:
        attributed: images and their relevance.
        generator: of the order of pixels with the same relevance.
        steps: from none of the image to all of it.

    Returns:
        Areas in [0, 1], higher is better, and the curve `(B, steps + 1)` of the probability.
    """
    counts = count_hidden(attributed.relevance[0].numel(), steps)[::-1]
    curve = draw_curve(attributed, read_probability, counts, most_first=False, generator=generator)
    return MeasuredFaithfulness(torch.trapezoid(curve, dx=1 / steps), curve)


INSERTION = FaithfulnessMeasure(
    "insertion",
    insertion,
    better="higher",
    question="How probable the class already is, on average over the way, while hidden pixels are "
    "shown again, the most relevant first.",
)
