"""The part of the score that a method's ledger cannot account for."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness

MISSING = "unexplained"
"""The line of a ledger for what is missing."""


def unexplained(attributed: Attributed) -> MeasuredFaithfulness:
    """Divide the unexplained line of the ledger by its largest line, or by their sum if larger.

    Args:
        attributed: relevance with a ledger.

    Returns:
        Shares, 0 where every part of the score is told; lower is better.

    Raises:
        ValueError: if there is no ledger.
    """
    ledger = attributed.ledger
    if ledger is None:
        raise ValueError("ledger must say where the score went.")
    lines = torch.stack([*ledger.values()])  # (L, B)
    largest = torch.cat([lines, lines.sum(0, keepdim=True)]).abs().amax(0)
    return MeasuredFaithfulness((ledger[MISSING].abs() / largest).where(largest > 0, 0.0))


UNEXPLAINED = FaithfulnessMeasure(
    "unexplained",
    unexplained,
    better="lower",
    question="Which part of the score the method's ledger cannot account for, as a share of the "
    "ledger's largest line.",
    control="",
    limit=0.01,
    needs=("ledger",),
)
