"""Whether relevance is another one for another class."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.correlation import correlate_ranks
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def random_logit(attributed: Attributed, *, generator: torch.Generator) -> MeasuredFaithfulness:
    """Correlate the map of the explained class with that of a random other class.

    Sixt, Granz and Landgraf (2020), arXiv:1912.09818, section 4, by rank correlation.

    Args:
        attributed: with the method, to ask it again.
        generator: of the other class: as many places further on for all images.

    Returns:
        Correlations in -1 to 1, lower is better. NaN where a map is the same everywhere.

    Raises:
        ValueError: if there is no other class.
    """
    total = attributed.answer(attributed.images).shape[1]
    if total < 2:
        raise ValueError("logits must be of at least 2 classes, got 1.")
    further = int(torch.randint(1, total, (), generator=generator))
    explain = attributed.method.toward((attributed.classes + further) % total)
    other = explain(attributed.images, attributed.rows)
    return MeasuredFaithfulness(correlate_ranks(attributed.relevance.flatten(1), other.flatten(1)))


RANDOM_LOGIT = FaithfulnessMeasure(
    "random_logit",
    random_logit,
    better="lower",
    question="How alike the map is, as a rank correlation, to the map of a random other class.",
    control="edges",
    needs=("explain",),
)
