"""Stored images with equal features, which get equal scores to the last digit."""

import numpy as np
import torch
from torch import Tensor


def find_equal_rows(memory: Tensor, places: Tensor, keys: Tensor) -> Tensor | None:
    """Find the rows of a memory that are equal.

    Args:
        memory: `(M, D)`.
        places: `(N,)` int64, the rows to look at, in any order and any number of times.
        keys: `(M,)` a number for each row that is the same for equal rows and rarely for others.

    Returns:
        `(M,)` int64, for every row the first of those looked at that equals it, or itself; None
        where all rows looked at differ.

    >>> memory = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]])
    >>> find_equal_rows(memory, torch.arange(4), memory.sum(1))
    tensor([0, 1, 0, 0])
    """
    read = torch.zeros(len(memory), dtype=torch.bool, device=memory.device)
    if not have_repeats(keys[read.index_fill_(0, places, value=True)]):
        return None
    everywhere = torch.arange(len(memory), device=memory.device)
    places = everywhere[read]
    _, which, counts = keys[places].unique(return_inverse=True, return_counts=True)
    places = places[counts[which] > 1]  # few, if any
    _, which = memory[places].unique(dim=0, return_inverse=True)
    lead = places.new_full((len(places),), len(memory)).scatter_reduce_(0, which, places, "amin")
    first = everywhere.index_copy(0, places, lead[which])
    return None if first.equal(everywhere) else first


TELLING_COLUMNS = 16
"""Of the rows, that ``tell_apart`` looks at, about."""


def tell_apart(memory: Tensor) -> Tensor:
    """Return a number for each row `(M,)` that is the same for equal rows and rarely for others.

    The length of a whole row would not do: keys of votes all have the same.

    Args:
        memory: `(M, D)`.
    """
    some = memory[:, :: max(1, memory.shape[1] // TELLING_COLUMNS)]
    found: Tensor = torch.linalg.vector_norm(some, dim=1, dtype=torch.float64)
    return found


def have_repeats(keys: Tensor) -> bool:
    """Say whether a key `(N,)` is there twice; on a CPU by numpy, which is several times faster."""
    if keys.device.type == "cpu":
        ranked = np.sort(keys.detach().numpy())
        return bool((ranked[1:] == ranked[:-1]).any())
    found = keys.sort().values
    return bool((found[1:] == found[:-1]).any())
