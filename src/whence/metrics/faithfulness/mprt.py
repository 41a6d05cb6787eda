"""Whether relevance changes when the model's layers are randomised."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.correlation import correlate_ranks
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def mprt(attributed: Attributed) -> MeasuredFaithfulness:
    """Randomise the model from the top down, and correlate its maps with those of the model.

    Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim (2018), arXiv:1810.03292, section 3.1, the
    cascading model parameter randomisation test, by rank correlation.

    Args:
        attributed: with the method, to ask it again.

    Returns:
        Mean correlations over the stages, lower is better, and the curve `(B, S)` over them. NaN
        where a map is the same everywhere.
    """
    maps = [
        explain(attributed.images, attributed.rows) for _, explain in attributed.method.cascade()
    ]
    own = attributed.relevance.flatten(1)
    curve = torch.stack([correlate_ranks(own, one.flatten(1)) for one in maps], 1)
    return MeasuredFaithfulness(curve.nanmean(1), curve)


MPRT = FaithfulnessMeasure(
    "mprt",
    mprt,
    better="lower",
    question="How alike the map stays, as a rank correlation, while the layers of the model are "
    "randomised from the top down.",
    control="edges",
    needs=("explain",),
)
