"""The similarities that there are, each with all that is known of it."""

import torch
from torch import Tensor

from whence.memory.cosine import (
    compare_cosine,
    cosine,
    pull_back_to_length,
    to_unit_length,
    unit_scale,
)
from whence.memory.read_dense import read_dense
from whence.memory.similarity import Rule, Similarity


def l2(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` negated squared Euclidean distances; at most 0.

    Both sides are moved by the memory's mean first, which changes no distance and keeps the
    difference of squares from losing digits.
    """
    centre = memory.detach().mean(-2, keepdim=True)
    queries, memory = queries - centre, memory - centre
    lengths = queries.square().sum(-1)[..., None] + memory.square().sum(-1)[..., None, :]
    return 2 * queries @ memory.mT - lengths  # (..., B, M)


def dot(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` dot products."""
    return queries @ memory.mT


COSINE = Similarity(
    cosine,
    scale=unit_scale,
    rule=Rule(to_unit_length, pull_back_to_length, lambda scores, scale: scores * scale.square()),
    compare=compare_cosine,
    read=read_dense,
)
L2 = Similarity(
    l2,
    rule=Rule(
        lambda queries: 2 * queries,
        lambda _, gradient: 2 * gradient,
        lambda scores, _: torch.full_like(scores, 2),
    ),
)
DOT = Similarity(
    dot,
    rule=Rule(
        lambda queries: queries,
        lambda _, gradient: gradient,
        lambda scores, _: torch.zeros_like(scores),
    ),
)
