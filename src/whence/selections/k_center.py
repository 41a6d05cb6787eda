"""Stored images that no other stored image is far from."""

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates


def cover_far_points(candidates: StoredCandidates, size: int) -> Tensor:
    """Take again and again the image that is farthest from all that were taken.

    At most twice the smallest radius that so many images can cover all others with (Gonzalez 1985);
    as a core set of labelled images: Sener and Savarese (2018), arXiv:1708.00489. The first of each
    class is the one nearest to the mean of its class.

    Returns:
        `(size,)` places.
    """
    points, labels = candidates.points, candidates.labels
    taken = candidates.pinned.tolist()
    for one in labels.unique().tolist():
        if not bool((labels[candidates.pinned] == one).any()):
            members = (labels == one).nonzero().squeeze(1)
            own = points[members]
            taken.append(int(members[(own - own.mean(0)).square().sum(1).argmin()]))
    radius = points.new_full((len(points),), torch.inf)
    for place in taken:
        radius = torch.minimum(radius, (points - points[place]).square().sum(1))
    radius[taken] = -1
    while len(taken) < size:
        place = int(radius.argmax())
        radius = torch.minimum(radius, (points - points[place]).square().sum(1))
        radius[place] = -1
        taken.append(place)
    return labels.new_tensor(taken[:size])


K_CENTER = SelectionMethod(
    cover_far_points, asks=False, sentence="such that none is far from a kept one"
)
