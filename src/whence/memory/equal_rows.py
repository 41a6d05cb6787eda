"""Stored images with equal features, which get equal scores to the last digit."""

import numpy as np
import torch
from torch import Tensor


def find_equal_rows(memory: Tensor, places: Tensor, keys: Tensor) -> Tensor | None:
    """Find the rows of a memory that are equal.

    Args:
        memory: `(M, D)`.
        places: `(U,)` int64, the rows to look at.
        keys: `(U,)` a number for each that is the same for equal rows and rarely for others.

    Returns:
        `(M,)` int64, for every row the first of those looked at that equals it, or itself; None
        where all rows looked at differ.

    >>> memory = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]])
    >>> find_equal_rows(memory, torch.arange(4), memory.sum(1))
    tensor([0, 1, 0, 0])
    """
    order = sort_places(keys)
    ranked = keys[order]
    after = (ranked[1:] == ranked[:-1]).nonzero().squeeze(1) + 1
    if len(after) == 0:
        return None
    places = places[order[torch.cat([after - 1, after]).unique()]]  # few, if any
    _, which = memory[places].unique(dim=0, return_inverse=True)
    lead = places.new_full((len(places),), len(memory)).scatter_reduce_(0, which, places, "amin")
    first = torch.arange(len(memory), device=memory.device)
    first[places] = lead[which]
    return first if bool((first[places] != places).any()) else None


def sort_places(keys: Tensor) -> Tensor:
    """List places by ascending key `(U,)`; on a CPU by numpy, which is several times faster."""
    if keys.device.type != "cpu":
        return keys.argsort()
    return torch.from_numpy(np.argsort(keys.detach().numpy()))
