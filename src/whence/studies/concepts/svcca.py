"""Singular vector canonical correlation: how alike what two layers give is, whatever its axes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

KEPT_VARIANCE = 0.99
"""Share of the variance of each layer that its first directions must hold."""


def compare_layers(one: Tensor, other: Tensor, share: float = KEPT_VARIANCE) -> float:
    """Compute the mean canonical correlation of the main directions of two layers.

    Raghu et al. (2017), arXiv:1706.05806, section 2: the first singular directions of each that
    hold 99 % of its variance, then the correlations of the pairs of their combinations that
    correlate most. These are the singular values of the product of orthonormal bases.

    Args:
        one: `(N, D)`, a row for each image, or each place in an image.
        other: `(N, E)` of the same images.
        share: of the variance that is kept.

    Returns:
        In [0, 1]; 0 where a layer gives the same for all.
    """
    bases = [find_main_basis(some.double(), share) for some in (one, other)]
    if min(basis.shape[1] for basis in bases) == 0:
        return 0.0
    return float(torch.linalg.svdvals(bases[0].T @ bases[1]).clamp(max=1).mean())


def find_main_basis(features: Tensor, share: float) -> Tensor:
    """Find an orthonormal basis of the main directions of centred features; `(N, k)`."""
    centred = features - features.mean(0)
    vectors, values, _ = torch.linalg.svd(centred, full_matrices=False)
    variances = values.square()
    constant = float(variances.sum()) <= 1e-12 * float(features.square().sum())
    shares = variances.cumsum(0) / variances.sum()
    kept = 0 if constant else int((shares < share).sum()) + 1
    found: Tensor = vectors[:, :kept]
    return found


def lay_out_places(maps: Tensor) -> Tensor:
    """Make every field of every image a row; `(N, D, g, g)` to `(N g g, D)`."""
    return maps.movedim(1, -1).flatten(0, -2)


def compare_pairs(
    some: Mapping[str, Tensor], others: Mapping[str, Tensor], names: Sequence[str]
) -> list[list[float]]:
    """Compare every layer of one network with every layer of another, a row for each of the one.

    Args:
        some: by layer `(N, D, g, g)`.
        others: by layer, of the same images on the same grid.
        names: of the layers, in order.
    """
    left = {name: lay_out_places(some[name]) for name in names}
    right = {name: lay_out_places(others[name]) for name in names}
    return [[compare_layers(left[one], right[other]) for other in names] for one in names]


def trace_convergence(
    epochs: Sequence[Mapping[str, Tensor]], names: Sequence[str]
) -> dict[str, list[float]]:
    """Compare each layer at every epoch with itself at the last.

    Args:
        epochs: by epoch, what layers give, `(N, D, g, g)`.
        names: of the layers.
    """
    last = {name: lay_out_places(epochs[-1][name]) for name in names}
    return {
        name: [compare_layers(lay_out_places(epoch[name]), last[name]) for epoch in epochs]
        for name in names
    }
