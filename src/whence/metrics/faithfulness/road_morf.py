"""Whether the answer stays while its most relevant pixels are replaced by what is around them."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.noisy_filling import remove_and_debias


def road_morf(
    attributed: Attributed, *, generator: torch.Generator, steps: int = 10
) -> MeasuredFaithfulness:
    """Remove and debias, the most relevant pixels first.

    Rong, Leemann, Borisov, Kasneci and Kasneci (2022), arXiv:2202.00449. The accuracy there is
    that of the labels, here of the answer for the whole image.

    Args:
        attributed: images and their relevance.
        generator: of the noise, and of the order of pixels with the same relevance.
        steps: from the whole image to none of it; the last is left out, as nothing is around then.

    Returns:
        Shares of the steps at which the answer is still the same, lower is better, and for each
        step whether it is, `(B, steps - 1)`.
    """
    return remove_and_debias(attributed, most_first=True, steps=steps, generator=generator)


ROAD_MORF = FaithfulnessMeasure(
    "road_morf",
    road_morf,
    better="lower",
    question="How often the answer stays while pixels are replaced by a blend of what is around "
    "them, the most relevant first.",
)
