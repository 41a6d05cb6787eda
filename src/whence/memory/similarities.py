"""The similarities that there are, each with all that is known of it."""

import torch
from torch import Tensor

from whence.memory.cosine import (
    compare_by_cosine,
    cosine,
    pull_back_to_length,
    to_unit_length,
    unit_scale,
)
from whence.memory.equal_rows import tell_apart
from whence.memory.l2 import compare_by_l2, l2, l2_of_pairs
from whence.memory.read_dense import read_dense
from whence.memory.similarity import Comparison, Rule, Similarity


def dot(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` dot products."""
    return queries @ memory.mT


def compare_by_dot(queries: Tensor, memory: Tensor, scale: Tensor | None) -> Comparison:
    """Prepare to write dot products of `(B, D)` and `(M, D)` stretch by stretch."""
    rounding = queries.shape[1] * torch.finfo(queries.dtype).eps
    lengths = torch.linalg.vector_norm(memory, dim=1)  # (M,)
    error = rounding * torch.linalg.vector_norm(queries, dim=1, keepdim=True) * lengths.max()
    return Comparison(
        lambda start, scores: torch.mm(
            queries, memory[start : start + scores.shape[1]].mT, out=scores
        ),
        error,
        tell_apart(memory),
    )


COSINE = Similarity(
    cosine,
    scale=unit_scale,
    rule=Rule(to_unit_length, pull_back_to_length, lambda scores, scale: scores * scale.square()),
    compare=compare_by_cosine,
    read=read_dense,
)
L2 = Similarity(
    l2,
    rule=Rule(
        lambda queries: 2 * queries,
        lambda _, gradient: 2 * gradient,
        lambda scores, _: torch.full_like(scores, 2),
    ),
    compare=compare_by_l2,
    pairs=l2_of_pairs,
)
DOT = Similarity(
    dot,
    rule=Rule(
        lambda queries: queries,
        lambda _, gradient: gradient,
        lambda scores, _: torch.zeros_like(scores),
    ),
    compare=compare_by_dot,
)
