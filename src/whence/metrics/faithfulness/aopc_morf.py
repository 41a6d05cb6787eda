"""Area over the curve of the score while pixels are hidden, the most relevant first."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.pixel_order import average_fall


def aopc_morf(
    attributed: Attributed, *, generator: torch.Generator, steps: int = 20
) -> MeasuredFaithfulness:
    """Average by how much the score has fallen, over all steps until no pixel is left.

    Samek, Binder, Montavon, Lapuschkin and Mueller (2017), "Evaluating the visualization of what a
    deep neural network has learned", equation 12, with single pixels in the place of regions.

    Args:
        attributed: images and their relevance.
        generator: of the order of pixels with the same relevance.
        steps: from the whole image to none of it.

    Returns:
        Falls in units of the score, higher is better, and the curve of the score `(B, steps + 1)`.
    """
    return average_fall(attributed, most_first=True, steps=steps, generator=generator)


AOPC_MORF = FaithfulnessMeasure(
    "aopc_morf",
    aopc_morf,
    better="higher",
    question="By how much the score falls, on average over the way, while pixels are hidden, the "
    "most relevant first.",
)
