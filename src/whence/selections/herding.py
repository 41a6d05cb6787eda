"""Stored images whose mean is the mean of their class."""

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates, rank_in_class, take_turns


def herd(candidates: StoredCandidates, size: int) -> Tensor:
    """Take from each class the image that brings the mean of those taken nearest to the class's.

    Welling (2009); as a memory of examples: Rebuffi et al. (2017), arXiv:1611.07725, algorithm 4.
    The classes, or parts of them, take turns; where one has no more the others go on.

    Returns:
        `(size,)` places.
    """
    points, labels = candidates.points, candidates.parts
    anyhow = torch.arange(len(labels), device=labels.device)
    turns = take_turns(anyhow, labels)[:size]
    wanted = rank_in_class(turns, labels)
    chosen: list[int] = []
    for one in labels[turns].unique().tolist():
        most = 1 + int(wanted[labels[turns] == one].max())
        members = (labels == one).nonzero().squeeze(1)
        chosen += members[herd_one_class(points[members], most)].tolist()
    return take_turns(labels.new_tensor(chosen), labels)


def herd_one_class(points: Tensor, size: int) -> Tensor:
    """Take ``size`` of the points `(n, E)` of one class; returns their places `(size,)`."""
    mean, total = points.mean(0), torch.zeros_like(points[0])
    left = torch.ones(len(points), dtype=torch.bool, device=points.device)
    taken = []
    for count in range(1, size + 1):
        distance = (mean - (total + points) / count).square().sum(1)
        place = int(distance.masked_fill(~left, torch.inf).argmin())
        left[place] = False
        total = total + points[place]
        taken.append(place)
    return torch.tensor(taken, device=points.device)


HERDING = SelectionMethod(
    herd,
    asks=False,
    sentence="as many of every class, whose mean is that of the class",
    divides=True,
)
