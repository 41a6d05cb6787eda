"""How many of the most relevant pixels lie where the answer is known to come from."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.pixel_order import order_pixels


def trigger_rank(attributed: Attributed, *, generator: torch.Generator) -> MeasuredFaithfulness:
    """Count the pixels of the truth among as many most relevant ones.

    Arras, Osman and Samek (2022), arXiv:2003.07258, relevance rank accuracy.

    Args:
        attributed: relevance, and where it should be.
        generator: of the order of pixels with the same relevance.

    Returns:
        Shares of the pixels of the truth, higher is better.
    """
    truth = attributed.true_places.flatten(1)
    counts = truth.sum(1, keepdim=True)
    ordered = truth.gather(1, order_pixels(attributed.relevance, generator))
    first = torch.arange(truth.shape[1]) < counts
    return MeasuredFaithfulness((ordered & first).sum(1).double() / counts[:, 0])


TRIGGER_RANK = FaithfulnessMeasure(
    "trigger_rank",
    trigger_rank,
    better="higher",
    question="Of as many most relevant pixels as the answer is known to come from, which share are "
    "these.",
    needs=("truth",),
)
