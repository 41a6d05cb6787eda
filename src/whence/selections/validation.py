"""Stored images chosen one by one, each for what it does to the answers to other images."""

import math

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates

SOFT_SCALES = (5.0, 10.0, 20.0, 40.0, 80.0)
"""By what similarities are multiplied before the softmax, of which the likeliest is taken."""

FLOOR_SHARE = 0.05
"""Share of the probability that is spread over all classes, so that a miss costs no infinity."""

PAIRS_SCORED = 2**22
"""Pairs of a query and a stored image that are looked at together."""


def choose_by_likelihood(candidates: StoredCandidates, size: int) -> Tensor:
    """Take again and again the image that makes the queries' true labels likeliest.

    An answer is a softmax vote: the share of exp(-scale * squared distance / 2) of the images taken
    that have its label (for points of length 1 a softmax of cosines). The scale is the one at which
    all stored images together make the labels likeliest.

    Returns:
        `(size,)` places.
    """
    labels, truth = candidates.labels, candidates.query_labels
    nearness = -torch.cdist(candidates.queries, candidates.points).square() / 2  # (V, M)
    nearness = nearness - nearness.amax(1, keepdim=True)
    right = labels == truth[:, None]
    classes = len(labels.unique())
    kernel = max(
        ((scale * nearness).exp() for scale in SOFT_SCALES),
        key=lambda one: float(likelihood((one * right).sum(1), one.sum(1), classes).mean()),
    )
    taken = candidates.pinned.tolist()
    uncovered = set(labels.tolist()) - set(labels[candidates.pinned].tolist())
    hit, total = ((one[:, taken]).sum(1) for one in (kernel * right, kernel))
    free = torch.ones_like(labels, dtype=torch.bool)
    free[taken] = False
    while len(taken) < size:
        allowed = free
        if uncovered:
            allowed = free & torch.isin(labels, labels.new_tensor(sorted(uncovered)))
        places = allowed.nonzero().squeeze(1)
        worth = torch.cat(
            [
                likelihood(
                    hit[:, None] + kernel[:, some] * right[:, some],
                    total[:, None] + kernel[:, some],
                    classes,
                ).mean(0)
                for some in places.split(max(1, PAIRS_SCORED // len(kernel)))
            ]
        )
        place = int(places[worth.argmax()])
        hit, total = hit + kernel[:, place] * right[:, place], total + kernel[:, place]
        free[place] = False
        uncovered.discard(int(labels[place]))
        taken.append(place)
    return labels.new_tensor(taken[:size])


def likelihood(hit: Tensor, total: Tensor, classes: int) -> Tensor:
    """Compute log((1 - e) hit / total + e / K) of weights on the right label and on all."""
    least = math.ulp(1.0) ** 2  # a query that no image taken is near to
    return ((1 - FLOOR_SHARE) * hit / total.clamp_min(least) + FLOOR_SHARE / classes).log()


VALIDATION = SelectionMethod(
    choose_by_likelihood,
    asks=True,
    sentence="one by one, each the one that makes the validation images' labels likeliest",
)
