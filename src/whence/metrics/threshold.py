"""From which probability on a class is to be the answer: for a wanted recall, or least cost."""

import math

import torch
from torch import Tensor

from whence.shapes import check_shape


def recall_threshold(shares: Tensor, of_class: Tensor, recall: float) -> float | None:
    """Find the highest threshold that finds so many images of a class.

    It lies half-way between the probability of the last image that must be found and the next
    lower one of any image, so that rounding does not decide.

    Args:
        shares: `(N,)` probability of the class, in [0, 1].
        of_class: `(N,)` bool, the image is of it; at least one is.
        recall: wanted, in (0, 1].

    Returns:
        The threshold; None where so many images have no probability of the class at all.

    >>> shares, of_class = torch.tensor([0.9, 0.5, 0.375, 0.125]), torch.tensor([1, 0, 1, 0]) > 0
    >>> recall_threshold(shares, of_class, 0.9)
    0.25
    """
    sizes = check_shape("shares", shares, "N")
    check_shape("of_class", of_class, "N", **sizes)
    known = shares.double()
    own = known[of_class].sort(descending=True).values
    wanted = max(1, math.ceil(recall * len(own) * (1 - 1e-12)))  # 0.95 of 20 is 19
    least = float(own[wanted - 1])
    if least == 0:
        return None
    below = known[known < least]
    return (least + (float(below.max()) if len(below) else 0)) / 2


def cost_threshold(
    shares: Tensor, of_class: Tensor, cost: float, *, aim: float | None = None
) -> float:
    """Find the threshold of least total cost.

    Missing an image of the class costs ``cost``, taking another image for one of it costs 1.
    Looked at are the points half-way between probabilities; of equally good ones the nearest to
    ``aim`` is taken.

    Args:
        shares: `(N,)` probability of the class, in [0, 1].
        of_class: `(N,)` bool, the image is of it.
        cost: above 0.
        aim: in [0, 1]; None is 1 / (1 + cost), which is the best for probabilities that are right
            (Elkan 2001, The foundations of cost-sensitive learning, equation 2).

    >>> shares, of_class = torch.tensor([0.9, 0.5, 0.375, 0.125]), torch.tensor([1, 0, 1, 0]) > 0
    >>> cost_threshold(shares, of_class, 10)
    0.25
    """
    sizes = check_shape("shares", shares, "N")
    check_shape("of_class", of_class, "N", **sizes)
    known = shares.double()
    points = torch.cat([known.new_tensor([0, 1]), known]).unique()
    between = (points[1:] + points[:-1]) / 2  # (T,)
    found = known >= between[:, None]  # (T, N)
    costs = cost * (~found & of_class).sum(1) + (found & ~of_class).sum(1)  # (T,)
    best = between[costs == costs.min()]
    aim = 1 / (1 + cost) if aim is None else aim
    return float(best[(best - aim).abs().argmin()])
