"""What a way of choosing stored images is, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class StoredCandidates:
    """Stored images that a smaller memory may keep.

    Attributes:
        points: `(M, E)` float, the nearer the more alike (Euclidean distance).
        labels: `(M,)` int64.
        parts: `(M,)` int64, what is to be kept alike: the labels, or a number for each label in
            each group.
        queries: `(V, E)` other images, laid out alike, that the memory is to serve.
        query_labels: `(V,)` int64, their true classes.
        usage: `(M,)` mean weight that the queries give each of them; empty without queries.
        pinned: `(p,)` places of those that stay whatever the selection says.
        generator: of all that is drawn.
    """

    points: Tensor
    labels: Tensor
    parts: Tensor
    queries: Tensor
    query_labels: Tensor
    usage: Tensor
    pinned: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class SelectionMethod:
    """A way of choosing stored images.

    Attributes:
        order: ``(candidates, size) -> (size,)`` places, the one to keep first at the front, so that
            the first m are a memory of m; pinned ones may stand anywhere. The first of every class
            that no pinned image has come before the second of any.
        asks: it looks at the queries.
        divides: it keeps as many of every part, so that groups can be told apart.
        sentence: what it keeps, for people.
    """

    order: Callable[[StoredCandidates, int], Tensor]
    asks: bool
    sentence: str
    divides: bool = False


def rank_in_class(order: Tensor, labels: Tensor) -> Tensor:
    """Number the images of each class in the order `(n,)` that they come in, from 0.

    Args:
        order: `(n,)` places.
        labels: `(M,)` of all places.

    >>> rank_in_class(torch.tensor([2, 0, 3, 1]), torch.tensor([0, 0, 0, 1])).tolist()
    [0, 1, 0, 2]
    """
    classes = labels[order]
    by_class = classes.argsort(stable=True)
    counts = classes.bincount()
    starts = counts.cumsum(0) - counts
    ranks = torch.empty_like(order)
    ranks[by_class] = torch.arange(len(order), device=order.device) - starts[classes[by_class]]
    return ranks


def take_turns(order: Tensor, labels: Tensor) -> Tensor:
    """Let the classes take turns, each with its next image in the order `(n,)`.

    >>> take_turns(torch.tensor([2, 0, 3, 1]), torch.tensor([0, 0, 0, 1])).tolist()
    [2, 3, 0, 1]
    """
    ranks, classes = rank_in_class(order, labels), labels[order]
    return order[(ranks * (int(classes.max()) + 1) + classes).argsort(stable=True)]


def lead_with_each_class(order: Tensor, candidates: StoredCandidates) -> Tensor:
    """Bring the first image of each class that no pinned image has to the front of an order."""
    labels = candidates.labels
    covered = torch.isin(labels[order], labels[candidates.pinned])
    leads = (rank_in_class(order, labels) == 0) & ~covered
    return order[(~leads).to(torch.uint8).argsort(stable=True)]
