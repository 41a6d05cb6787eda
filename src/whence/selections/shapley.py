"""The stored images that are worth most to the nearest neighbours of other images."""

import torch
from torch import Tensor

from whence.bounds import check_number
from whence.selections.selection import SelectionMethod, StoredCandidates, lead_with_each_class
from whence.shapes import check_shape

DECIDING_NEIGHBOURS = 10
"""Stored images whose labels decide for a query."""

PAIRS_AT_ONCE = 2**22
"""Pairs of a query and a stored image that are sorted together."""


def knn_shapley(
    points: Tensor,
    labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    *,
    neighbours: int = DECIDING_NEIGHBOURS,
) -> Tensor:
    """Compute the Shapley value of every stored image for nearest neighbours, exactly.

    The game's worth is the mean share of the right label among the ``neighbours`` nearest stored
    images (fewer images count as wrong ones). Jia et al. (2019), arXiv:1908.08619, theorem 1: from
    the farthest stored image to the nearest,

        s_N = [y_N = y] / max(K, N),
        s_i = s_(i+1) + ([y_i = y] - [y_(i+1) = y]) / K * min(K, i) / i,

    where theirs has 1 / N at the start, which is the same for N >= K.

    Args:
        points: `(M, E)` stored images.
        labels: `(M,)`.
        queries: `(V, E)` other images, at least one.
        query_labels: `(V,)`.
        neighbours: K.

    Returns:
        `(M,)` float64, the mean over the queries; their sum is the worth of all stored images.

    Raises:
        ValueError: if shapes do not fit, there is no query, or no neighbour is asked for.
    """
    sizes = check_shape("points", points, "M E")
    check_shape("labels", labels, "M", M=sizes["M"])
    asked = check_shape("queries", queries, "V E", E=sizes["E"])
    check_shape("query_labels", query_labels, "V", V=asked["V"])
    check_number("neighbours", neighbours, least=1)
    if asked["V"] == 0:
        raise ValueError(
            "queries must hold at least one image to be worth something for, got none."
        )
    total = sizes["M"]
    places = torch.arange(1, total + 1, dtype=torch.float64, device=points.device)
    steps = places.clamp(max=neighbours) / places / neighbours  # (M,)
    values = torch.zeros(total, dtype=torch.float64, device=points.device)
    rows = max(1, PAIRS_AT_ONCE // total)
    for part, truth in zip(queries.split(rows), query_labels.split(rows), strict=True):
        nearest = torch.cdist(part, points).argsort(dim=1, stable=True)  # (v, M)
        hits = (labels[nearest] == truth[:, None]).double()
        gains = (hits[:, :-1] - hits[:, 1:]) * steps[:-1]
        last = hits[:, -1:] / max(neighbours, total)
        found = torch.cat([gains, last], 1).flip(1).cumsum(1).flip(1)
        values.scatter_add_(0, nearest.flatten(), found.flatten())
    return values / asked["V"]


def take_most_worth(candidates: StoredCandidates, size: int) -> Tensor:
    """Take the images of the largest Shapley values.

    Returns:
        `(size,)` places.
    """
    values = knn_shapley(
        candidates.points, candidates.labels, candidates.queries, candidates.query_labels
    )
    order = values.argsort(descending=True, stable=True)
    return lead_with_each_class(order, candidates)[:size]


SHAPLEY = SelectionMethod(
    take_most_worth,
    asks=True,
    sentence="those worth most to the nearest neighbours of the validation images (Shapley values)",
)
