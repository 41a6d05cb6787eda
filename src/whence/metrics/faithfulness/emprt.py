"""By how much the entropy of relevance rises when the whole model is randomised."""

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed
from whence.metrics.correlation import find_constant
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness


def emprt(attributed: Attributed, *, bins: int = 100) -> MeasuredFaithfulness:
    """Compare the entropy of a map with that of the map of a randomised model.

    Hedstroem, Weber, Bommer, Bareeva, Lapuschkin, Samek and Hoehne (2024), arXiv:2405.02383,
    efficient MPRT: the relative rise of the entropy of the histogram of the map's values.

    Args:
        attributed: with the method, to ask it again.
        bins: of the histogram, of equal width.

    Returns:
        Relative rises, higher is better. NaN where one of the two maps is the same everywhere: a
        randomised model whose units are all silent says nothing of the method.
    """
    *_, (_, explain) = attributed.method.cascade()
    own, other = (
        histogram_entropy(maps, bins)
        for maps in (attributed.relevance, explain(attributed.images, attributed.rows))
    )
    return MeasuredFaithfulness((other - own) / own)


def histogram_entropy(maps: Tensor, bins: int) -> Tensor:
    """Compute the entropy, in nats, of the histogram of each map `(B, H, W)`; `(B,)` float64.

    The bins lie between the least and the largest value of each map; NaN where it has one value.
    """
    flat = maps.flatten(1).double()
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    constant = find_constant(flat)
    width = (high - low).masked_fill(constant[:, None], 1.0) / bins
    places = ((flat - low) / width).long().clamp(0, bins - 1)
    counts = torch.zeros(len(flat), bins, dtype=torch.float64)
    counts.scatter_add_(1, places, torch.ones_like(flat))
    entropy: Tensor = torch.special.entr(counts / flat.shape[1]).sum(1)
    return entropy.masked_fill(constant, torch.nan)


EMPRT = FaithfulnessMeasure(
    "emprt",
    emprt,
    better="higher",
    question="By how much the entropy of the map rises, relatively, when the whole model is "
    "randomised.",
    control="edges",
    needs=("explain",),
)
