"""How far relevance moves when the image moves a little."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def max_sensitivity(
    attributed: Attributed,
    *,
    generator: torch.Generator,
    samples: int = 10,
    radius: float = 0.02,
) -> MeasuredFaithfulness:
    """Find the largest relative change of relevance over random small changes of the image.

    Yeh, Hsieh, Suggala, Inouye and Ravikumar (2019), arXiv:1901.09392, definition 3.1, by sampling.

    Args:
        attributed: with the method, to ask it again.
        generator: of the changes, the same for all images.
        samples: how many changes.
        radius: the largest change of a value, as a share of the range of a pixel; the image stays
            within this range.

    Returns:
        Lengths of changes in lengths of the relevance, lower is better. NaN where it is 0.
    """
    explain, low, high = attributed.method, attributed.low, attributed.high
    lengths = torch.linalg.vector_norm(attributed.relevance.flatten(1).double(), dim=1)
    furthest = torch.zeros_like(lengths)
    for _ in range(samples):
        drawn = torch.rand(attributed.images.shape[1:], generator=generator)
        change = (2 * drawn - 1) * radius * (high - low)
        near = (attributed.images + change.to(attributed.images)).clamp(low, high)
        moved = explain(near, attributed.rows).double() - attributed.relevance
        furthest = furthest.maximum(torch.linalg.vector_norm(moved.flatten(1), dim=1))
    return MeasuredFaithfulness(furthest / lengths.where(lengths > 0, torch.nan))


MAX_SENSITIVITY = FaithfulnessMeasure(
    "max_sensitivity",
    max_sensitivity,
    better="lower",
    question="How far the map moves at most, in lengths of itself, when pixels change by 2 %.",
    control="",
    needs=("explain",),
)
