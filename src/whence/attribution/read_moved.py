"""Classify queries that each see some stored images elsewhere than they are."""

import torch
from torch import Tensor

from whence.memory import SIMILARITIES
from whence.memory.attention import at_least_float32, recall, weigh
from whence.memory.heads import MemoryHead


def read_moved(
    head: MemoryHead,
    queries: Tensor,
    features: Tensor,
    labels: Tensor,
    places: tuple[Tensor, ...],
    moved: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Classify queries that each see some stored images elsewhere than they are.

    Args:
        head: its classifier and similarity.
        queries: `(B, D)`.
        features: `(M, D)` of the stored images as they are.
        labels: `(M,)` of them.
        places: for each query `(A,)`, the stored images that it sees elsewhere.
        moved: `(E, D)` their features as it sees them, query by query; None moves nothing.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.

    Returns:
        Logits `(B, K)`.
    """
    queries, features = at_least_float32(queries), at_least_float32(features)
    if moved is None:
        places, moved = (), queries[:0]
    moved = at_least_float32(moved)
    counts = torch.tensor([len(one) for one in places], dtype=torch.int64)
    owners = torch.arange(len(counts)).repeat_interleave(counts).to(queries.device)  # (E,)
    stored = torch.cat([owners[:0], *places])  # (E,)
    similarity = SIMILARITIES[head.similarity]
    with torch.autocast(queries.device.type, enabled=False):
        scores = similarity(*head.pair(queries, features, labels))  # (B, M)
        single = head.pair(queries[owners][:, None], moved[:, None], labels[stored][:, None])
        own = similarity(*single)[:, 0, 0]  # (E,)
        weights = weigh(scores.index_put((owners, stored), own), mask=mask)
        values = head.values(features, labels)  # (M, V)
        changes = head.values(moved, labels[stored]) - values[stored]
        changes = weights[owners, stored][:, None] * changes
        vectors = recall(weights, values).index_add(0, owners, changes)  # (B, V)
    return head.respond(queries, vectors)
