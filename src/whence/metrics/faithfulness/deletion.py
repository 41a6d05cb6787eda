"""Area under the curve of the probability while the most relevant pixels are deleted."""

import torch

from whence.metrics.attributed import Attributed, read_probability
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.pixel_order import count_hidden, draw_curve


def deletion(
    attributed: Attributed, *, generator: torch.Generator, steps: int = 20
) -> MeasuredFaithfulness:
    """Compute the area under the probability of the class while pixels are deleted.

    Petsiuk, Das and Saenko (2018), arXiv:1806.07421, section 4.2, by the trapezoidal rule.

    Args:
        attributed: images and their relevance.
        generator: of the order of pixels with the same relevance.
        steps: from the whole image to none of it.

    Returns:
        Areas in [0, 1], lower is better, and the curve `(B, steps + 1)` of the probability.
    """
    counts = count_hidden(attributed.relevance[0].numel(), steps)
    curve = draw_curve(attributed, read_probability, counts, most_first=True, generator=generator)
    return MeasuredFaithfulness(torch.trapezoid(curve, dx=1 / steps), curve)


DELETION = FaithfulnessMeasure(
    "deletion",
    deletion,
    better="lower",
    question="How probable the class still is, on average over the way, while pixels are hidden, "
    "the most relevant first.",
)
