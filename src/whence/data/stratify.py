"""Draw from labelled images so that every class gives its share."""

import torch
from torch import Tensor

from whence.shapes import check_shape


def stratified(
    labels: Tensor, examples: int, *, generator: torch.Generator, leave_one: bool = True
) -> Tensor:
    """Draw ``examples`` images, from each class in proportion to its size.

    Shares that are not whole are rounded by largest remainder. Where ``examples`` allows, every
    class gives at least one image, except that a class of one image keeps it (``leave_one``).

    Args:
        labels: `(N,)` int64, 0 or more, on the CPU.
        examples: images to draw.
        generator: source of randomness, on the CPU.
        leave_one: leave at least one image of every class undrawn.

    Returns:
        `(examples,)` int64 positions in ``labels``, distinct, in random order.

    Raises:
        ValueError: if ``examples`` is negative, or more than the classes can give.
    """
    check_shape("labels", labels, "N")
    counts = labels.bincount()
    most = (counts - 1).clamp_min(0) if leave_one else counts
    if not 0 <= examples <= int(most.sum()):
        kept = ", when every class keeps one" if leave_one else ""
        raise ValueError(
            f"examples must be from 0 to {int(most.sum())} of {len(labels)} images{kept}, "
            f"got {examples}; ask for fewer or add images."
        )
    taken = _shares(counts, most, examples)
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]  # shuffled inside each class
    first = (counts.cumsum(0) - counts)[labels[order]]  # (N,) where the class of each begins
    drawn = order[torch.arange(len(order)) - first < taken[labels[order]]]
    return drawn[torch.randperm(len(drawn), generator=generator)]


def _shares(counts: Tensor, most: Tensor, examples: int) -> Tensor:
    """Say how many images each class gives: `(K,)` int64 that sum to ``examples``."""
    least = most.clamp_max(1)
    if int(least.sum()) > examples:
        least = torch.zeros_like(most)
    exact = counts.double() * examples / counts.sum().clamp_min(1)
    taken = exact.floor().long().clamp(least, most)
    while (missing := examples - int(taken.sum())) != 0:
        lag = exact - taken
        if missing > 0:
            taken[lag.masked_fill(taken >= most, -torch.inf).argmax()] += 1
        else:
            taken[lag.masked_fill(taken <= least, torch.inf).argmin()] -= 1
    return taken
