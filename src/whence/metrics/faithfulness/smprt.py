"""Whether relevance, averaged over noise, changes when the model's layers are randomised."""

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed, Explain
from whence.metrics.correlation import correlate_ranks
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def smprt(
    attributed: Attributed, *, generator: torch.Generator, samples: int = 5, deviation: float = 0.1
) -> MeasuredFaithfulness:
    """Randomise the model from the top down, and correlate its maps, averaged over noisy images.

    Hedstroem, Weber, Bommer, Bareeva, Lapuschkin, Samek and Hoehne (2024), arXiv:2405.02383, smooth
    MPRT: noise in the maps alone would already make them look different.

    Args:
        attributed: with the method, to ask it again.
        generator: of the noise, the same for all images and stages.
        samples: noisy images for each map.
        deviation: of the noise, as a share of the range of a pixel; the image stays within it.

    Returns:
        Mean correlations over the stages, lower is better, and the curve `(B, S)` over them. NaN
        where a map is the same everywhere.
    """
    shape = (samples, *attributed.images.shape[1:])
    noise = deviation * (attributed.high - attributed.low) * torch.randn(shape, generator=generator)
    own = average_map(attributed, attributed.method, noise)
    stages = [average_map(attributed, one, noise) for _, one in attributed.method.cascade()]
    curve = torch.stack([correlate_ranks(own, one) for one in stages], 1)
    return MeasuredFaithfulness(curve.nanmean(1), curve)


def average_map(attributed: Attributed, explain: Explain, noise: Tensor) -> Tensor:
    """Average the relevance of images with each of the noises `(S, C, H, W)`; `(B, H * W)`."""
    noisy = (
        (attributed.images + one.to(attributed.images)).clamp(attributed.low, attributed.high)
        for one in noise
    )
    maps = [explain(images, attributed.rows).flatten(1).double() for images in noisy]
    return torch.stack(maps).mean(0)


SMPRT = FaithfulnessMeasure(
    "smprt",
    smprt,
    better="lower",
    question="How alike the map, averaged over noisy images, stays, as a rank correlation, while "
    "the layers of the model are randomised from the top down.",
    control="edges",
    needs=("explain",),
)
