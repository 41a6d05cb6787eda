"""Reading the memory again with some of its images left out, without encoding anything."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.memory.attention import recall, score, weigh
from whence.memory.copies import mask_copies
from whence.memory.heads import MemoryHead, Read
from whence.memory.read_pairs import sum_rows
from whence.models.classifier import Classifier
from whence.models.sound import check_outputs
from whence.models.using import encode_all

FIRST_LOOK = 512
"""How many of a query's most similar images are looked at first; rarely do more have a weight."""


class Cached(NamedTuple):
    """What answers are computed from, encoded once."""

    head: MemoryHead
    queries: Tensor  # (B, E)
    memory: Tensor  # (M, E)
    values: Tensor  # (M, V), what is summed by weight
    scores: Tensor  # (B, M), minus infinity where a stored image may not be used


def cache(
    model: Classifier, images: Tensor, *, batch_size: int, queries: Tensor | None = None
) -> Cached:
    """Encode images and compare them with the bank; copies of an image are left out for it.

    Args:
        model: with a bank, in eval mode.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        batch_size: images encoded at once.
        queries: `(B, E)` the images encoded by this model, if that was done already.
    """
    bank = model.checked_bank()
    if queries is None:
        queries = encode_all(model, images, batch_size=batch_size)
    mask = mask_copies(bank, images)
    head = model.memory_head
    scale = bank.scale(head.similarity)
    asked, stored = head.pair(queries, bank.features, bank.labels)
    scores = score(asked, stored, similarity=head.similarity, scale=scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return Cached(head, queries, bank.features, head.values(bank.features, bank.labels), scores)


def read_whole(cached: Cached) -> Read:
    """Answer for all queries from the whole memory."""
    weights = weigh(cached.scores)
    vectors = recall(weights, cached.values)  # (B, V)
    logits = cached.head.respond(cached.queries, vectors)
    check_outputs("logits", logits, cached.head)
    return Read(logits, weights, cached.scores, cached.head.decide(logits))


def answer_without(cached: Cached, rows: Tensor, removed: Tensor, *, batch_size: int) -> Tensor:
    """Answer for queries, each with its own set of stored images left out.

    The similarities stay as they are; sparsemax, memory vector and last layers are computed again,
    which is exact.

    Args:
        cached: of `B` queries and `M` stored images.
        rows: `(T,)` the query of each answer, in 0 .. B-1.
        removed: `(T, R)` places in the memory to leave out; a place may be named twice. The logits
            are NaN where a query keeps no image.
        batch_size: answers computed at once; changes memory use, not the result.

    Returns:
        Logits `(T, K)`.
    """
    logits = []
    for part, gone in zip(rows.split(batch_size), removed.split(batch_size), strict=True):
        places, weights = weigh_without(cached.scores, part, gone)
        if weights.shape[1] == len(cached.memory):  # all were looked at, in their order
            vectors = recall(weights, cached.values)  # (t, V)
        else:
            read = weights > 0  # (t, L)
            values = cached.values.to(weights.dtype)
            vectors = sum_rows(values, places[read], read.sum(1), weights[read])
        logits.append(cached.head.respond(cached.queries[part], vectors))
    return torch.cat(logits)


def weigh_without(scores: Tensor, rows: Tensor, removed: Tensor) -> tuple[Tensor, Tensor]:
    """Weigh the stored images for queries, each with its own set of them left out.

    Only the most similar images of a query are looked at. If one of them that stays in gets no
    weight, all less similar ones get none, and the weights are those over the whole memory;
    otherwise four times as many are looked at.

    Args:
        scores: `(B, M)`, minus infinity where a stored image may not be used.
        rows: `(T,)` the query of each set, in 0 .. B-1.
        removed: `(T, R)` places in the memory to leave out; a place may be named twice.

    Returns:
        Ascending places `(T, L)` of the images looked at, and their weights `(T, L)`; weights are
        NaN where a query keeps no image.
    """
    queries, which = rows.unique(return_inverse=True)  # (Q,), (T,)
    own, total = scores[queries], scores.shape[1]  # (Q, M)
    out = removed.new_zeros(len(rows), total, dtype=torch.bool).scatter_(1, removed, value=True)
    looked_at = min(total, FIRST_LOOK)
    while True:  # places are (Q, looked_at)
        places = own.topk(looked_at, dim=1).indices.sort(1).values
        gone = out.gather(1, places[which])  # (T, looked_at)
        weights = weigh(own.gather(1, places)[which].masked_fill(gone, -torch.inf))
        whole = ((weights == 0) & ~gone).any(1)  # (T,)
        if looked_at == total or bool(whole.all()):
            return places[which], weights
        looked_at = min(total, 4 * looked_at)
