"""How much of the relevance lies where the answer is known to come from."""

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def trigger_mass(attributed: Attributed) -> MeasuredFaithfulness:
    """Divide the positive relevance inside the truth by all positive relevance.

    Arras, Osman and Samek (2022), arXiv:2003.07258, relevance mass accuracy.

    Args:
        attributed: relevance, and where it should be.

    Returns:
        Shares, higher is better; 0 where no relevance is positive.
    """
    positive = attributed.relevance.double().clamp_min(0).flatten(1)
    total = positive.sum(1)
    inside = (positive * attributed.true_places.flatten(1)).sum(1)
    return MeasuredFaithfulness((inside / total).where(total > 0, 0.0))


TRIGGER_MASS = FaithfulnessMeasure(
    "trigger_mass",
    trigger_mass,
    better="higher",
    question="Which share of the positive relevance lies on the pixels that the answer is known to "
    "come from.",
    needs=("truth",),
)
