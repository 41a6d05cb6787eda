"""Reading the memory again with some of its images left out, without encoding anything."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from whence.memory.attention import recall, score, weigh
from whence.memory.copies import mask_copies
from whence.memory.wrap import MemoryWrap, OnlyMemory, Read
from whence.prediction.model import Classifier, encode_all


class Cached(NamedTuple):
    """What answers are computed from, encoded once."""

    head: MemoryWrap | OnlyMemory
    queries: Tensor  # (B, D)
    memory: Tensor  # (M, D)
    scores: Tensor  # (B, M), minus infinity where a stored image may not be used


def cache(model: Classifier, images: Tensor, *, batch_size: int) -> Cached:
    """Encode images and compare them with the bank; copies of an image are left out for it.

    Args:
        model: with a bank, in eval mode.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        batch_size: images encoded at once.
    """
    bank = model.checked_bank()
    queries = encode_all(model, images, batch_size=batch_size)
    mask = mask_copies(bank, images)
    scores = score(
        queries, bank.features, similarity=model.memory_head.similarity, scale=bank.scale
    )
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return Cached(model.memory_head, queries, bank.features, scores)


def reread(
    cached: Cached, rows: Tensor, removed: Tensor | None = None, *, batch_size: int
) -> Iterator[Read]:
    """Answer for queries, each with its own set of stored images left out.

    The similarities stay as they are; sparsemax, memory vector and last layers are computed again,
    which is exact.

    Args:
        cached: of `B` queries and `M` stored images.
        rows: `(T,)` the query of each answer, in 0 .. B-1.
        removed: `(T, R)` places in the memory to leave out; a place may be named twice. Every
            query must keep an image. None leaves all in.
        batch_size: answers computed at once; changes memory use, not the result.

    Yields:
        Answers for at most ``batch_size`` of the `T`, in order.
    """
    for chunk in torch.arange(len(rows), device=rows.device).split(batch_size):
        scores = cached.scores[rows[chunk]]  # (t, M), a copy
        if removed is not None:
            scores.scatter_(1, removed[chunk], -torch.inf)
        weights = weigh(scores)
        vectors = recall(weights, cached.memory)  # (t, D)
        yield Read(cached.head.respond(cached.queries[rows[chunk]], vectors), weights, scores)


def answer_without(cached: Cached, rows: Tensor, removed: Tensor, *, batch_size: int) -> Tensor:
    """Compute the logits `(T, K)` of ``reread`` and keep nothing else."""
    parts = [read.logits for read in reread(cached, rows, removed, batch_size=batch_size)]
    return torch.cat(parts)
