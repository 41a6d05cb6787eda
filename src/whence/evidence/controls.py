"""Controls for the measures of the evidence: another image in place of the top memory."""

import torch
from torch import Tensor

from whence.evidence.answers import Memory
from whence.memory.attention import at_least_float32
from whence.metrics.evidence import measure_evidence
from whence.records.measures import EvidenceMeasures

BLOCK = 2**23
"""Numbers of the stored features that are copied at once."""


def measure_random(logits: Tensor, labels: Tensor, memory: Memory) -> EvidenceMeasures:
    """Measure a random memory image in place of the top one.

    Nothing is drawn: the values are those expected over all memory images. An evidence that says
    something of the answer does better than this.

    Args:
        logits: `(N, K)` the answers.
        labels: `(N,)` true classes.
        memory: `M` images.
    """
    predicted, classes = logits.argmax(1), logits.shape[1]
    agrees = shares(memory.own, classes)[predicted]  # (N,)
    purity = shares(memory.labels, classes)[labels] if has_labels(memory) else None
    return measure_evidence(predicted == labels, agrees, purity)


def shares(values: Tensor, classes: int) -> Tensor:
    """Count which share of class indices `(M,)` is each class; `(K,)` float64."""
    return values.bincount(minlength=classes).double() / len(values)


def measure_nearest(
    queries: Tensor, logits: Tensor, labels: Tensor, memory: Memory, *, batch_size: int
) -> EvidenceMeasures:
    """Measure the nearest neighbour in place of the top memory.

    It is the memory image whose features, by the same encoder, have the smallest Euclidean
    distance. By the model's own similarity the nearest image *is* the top memory, because sparsemax
    keeps the order: so of a model with the similarity l2 this control says nothing new.

    Args:
        queries: `(N, D)` features of the images.
        logits: `(N, K)` the answers.
        labels: `(N,)` true classes.
        memory: `M` images.
        batch_size: images compared at once.
    """
    found = find_nearest(queries, memory.features, batch_size=batch_size)
    predicted = logits.argmax(1)
    purity = (memory.labels[found] == labels).double() if has_labels(memory) else None
    return measure_evidence(predicted == labels, memory.own[found] == predicted, purity)


def find_nearest(queries: Tensor, stored: Tensor, *, batch_size: int) -> Tensor:
    """Find the stored image at the smallest Euclidean distance from each query.

    Args:
        queries: `(N, D)`.
        stored: `(M, D)`.
        batch_size: queries compared at once.

    Returns:
        `(N,)` places in 0 .. M-1, the first of equally near ones.
    """
    queries, stored = at_least_float32(queries), at_least_float32(stored)
    centre = stored.mean(0)  # taken off both sides, so that the squares keep their digits
    queries = queries - centre
    best = queries.new_full((len(queries),), -torch.inf)
    found = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    width = max(1, BLOCK // stored.shape[1])
    for start in range(0, len(stored), width):
        part = stored[start : start + width] - centre
        lengths = part.square().sum(1)
        for first in range(0, len(queries), batch_size):
            rows = slice(first, first + batch_size)
            nearness, places = (2 * queries[rows] @ part.mT - lengths).max(1)
            found[rows] = torch.where(nearness > best[rows], start + places, found[rows])
            best[rows] = nearness.maximum(best[rows])
    return found


def has_labels(memory: Memory) -> bool:
    """Say whether the label of every memory image is known."""
    return bool((memory.labels >= 0).all())
