"""The log-odds of votes: how much more an image resembles what votes for one class than another.

Votes that all agree leave their weights, and so the probability, as they are whatever a pixel does
a little; the similarities behind them are not. Their softmax, which is what votes are trained by,
gives odds that change with every pixel.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.evidence_rows import number_by_image
from whence.attribution.graph.tape import as_one
from whence.memory import SIMILARITIES
from whence.memory.attention import at_least_float32
from whence.memory.heads import MemoryHead


class ComparedKeys(NamedTuple):
    """The stored images that B images are compared with, image by image; A: the most of one."""

    keys: Tensor  # (E, D)
    labels: Tensor  # (E,)
    sides: Tensor  # (E,) 1 for the class, -1 for the one that it is set against, 0 for neither
    counts: list[int]  # of each image


def weigh_odds(head: MemoryHead, queries: Tensor, compared: ComparedKeys) -> Tensor:
    """Find the log-odds of queries `(B, D)`; `(B,)`.

    That is log sum exp of the scaled similarities on the one side, less that of the other.
    """
    slots, allowed = number_by_image(compared.counts, queries.device)  # (B, A)
    labels, signs = compared.labels[slots], compared.sides[slots] * allowed
    with torch.autocast(queries.device.type, enabled=False):
        keys = at_least_float32(compared.keys)[slots]  # (B, A, D)
        asked, stored = head.pair(at_least_float32(queries)[:, None], keys, labels)
        similar = SIMILARITIES[head.similarity](asked, stored)[:, 0]  # (B, A)
        return as_one(subtract_sides, similar, signs)[:, 0]


def subtract_sides(similar: Tensor, signs: Tensor) -> Tensor:
    """Take log sum exp of similarities `(B, A)` where the sign is 1, less where it is -1; `(B, 1)`.

    >>> subtract_sides(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([[1, 0, -1]]))
    tensor([[1.]])
    """
    one, other = (
        similar.masked_fill(signs != sign, -torch.inf).logsumexp(1, keepdim=True)
        for sign in (1, -1)
    )
    return one - other
