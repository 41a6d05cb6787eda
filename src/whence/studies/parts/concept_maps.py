"""Where in an image a feature comes from, and how local and how much apart these maps are."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from whence.attribution.methods.excitation_backprop import excitation_backprop
from whence.attribution.score import FunctionScore

LEAST_DETERMINANT = 1e-12


def map_unit(unit: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Find which pixels excite a number of each image, by contrastive Excitation Backprop.

    Zhang et al. (2016), arXiv:1608.00507, section 3.3; what excites less than it inhibits is 0.

    Args:
        unit: maps images `(B, C, H, W)` to `(B,)`.
        images: `(B, C, H, W)`, none below 0.

    Returns:
        `(B, H, W)` shares that add up to 1; all 0 where nothing excites it.
    """
    score = FunctionScore(lambda some, _: unit(some))
    found = excitation_backprop(score, images, contrastive=True).images.sum(1)
    found = found.nan_to_num(0.0, 0.0, 0.0).clamp_min(0)
    total = found.sum((1, 2), keepdim=True)
    return torch.where(total > 0, found / total.clamp_min(1e-30), 0)


def measure_locality(maps: Tensor, parts: Tensor, count: int) -> float | None:
    """Measure over how many parts the map of a feature is spread: the entropy of its histogram.

    Qi et al. (2018), section 4.2: lower is more local, and 0 is one part alone; about the logarithm
    of the number of parts.

    Args:
        maps: `(B, H, W)` shares.
        parts: `(B, H, W)` the part of each pixel; -1 for none.
        count: P.

    Returns:
        Nats; None where no map touches a part.
    """
    shares = [float((maps * (parts == part)).sum()) for part in range(count)]
    total = sum(shares)
    if total <= 0:
        return None
    return abs(-sum(one / total * math.log(one / total) for one in shares if one > 0))


def measure_apartness(maps: Tensor) -> tuple[float, float] | None:
    """Measure how much the maps of n features are correlated, over all pixels of all images.

    Qi et al. (2018): ``O1 = |P|_F - sqrt(n)`` and ``O2 = -log det P`` of their correlations P;
    lower is more apart, and 0 is not correlated at all. Features without a map are left out.

    Args:
        maps: `(n, B, H, W)`.

    Returns:
        O1 and O2; None of fewer than two features with a map.
    """
    flat = maps.flatten(1).double()
    flat = flat[flat.std(1) > 0]
    if len(flat) < 2:
        return None
    correlations = torch.corrcoef(flat)
    determinant = float(torch.linalg.det(correlations).clamp_min(LEAST_DETERMINANT))
    return float(correlations.norm()) - math.sqrt(len(flat)), -math.log(determinant)


def show_highest(images: Tensor, maps: Tensor, area: float) -> Tensor:
    """Show the pixels of highest value in a map, and black everywhere else.

    Args:
        images: `(B, C, H, W)`.
        maps: `(B, H, W)`.
        area: share of the pixels that is shown.

    Returns:
        `(B, C, H, W)`.
    """
    flat = maps.flatten(1)
    count = max(1, round(area * flat.shape[1]))
    places = flat.topk(count, dim=1).indices
    shown = torch.zeros_like(flat).scatter(1, places, 1.0).view_as(maps)
    return images * shown[:, None]


def join_maps(maps: Tensor, amounts: Tensor) -> Tensor:
    """Join the maps of features by what each adds to the answer of each image.

    Args:
        maps: `(n, B, H, W)`.
        amounts: `(B, n)`; what is below 0 counts as nothing.

    Returns:
        `(B, H, W)`: at each pixel the largest share, relative to the feature's largest one, times
        the feature's part of the answer.
    """
    relative = maps / maps.amax((2, 3), keepdim=True).clamp_min(1e-30)
    parts = amounts.clamp_min(0)
    parts = parts / parts.amax(1, keepdim=True).clamp_min(1e-30)
    return (relative * parts.T[:, :, None, None]).amax(0)
