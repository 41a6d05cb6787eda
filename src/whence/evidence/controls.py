"""Controls for the measures of the evidence: another image in place of the top memory."""

import torch
from torch import Tensor

from whence.evidence.answers import Memory
from whence.memory.attend import attend, lay_out
from whence.memory.attention import at_least_float32
from whence.metrics.evidence import measure_evidence
from whence.records.measures import EvidenceMeasures

SPREAD = 10
"""Features are brought to 2**10 before distances are compared, so that hardly any stored image but
the nearest one is near enough for a weight."""


def measure_random(
    predicted: Tensor, labels: Tensor, memory: Memory, *, classes: int
) -> EvidenceMeasures:
    """Measure a random memory image in place of the top one.

    Nothing is drawn: the values are those expected over all memory images. An evidence that says
    something of the answer does better than this.

    Args:
        predicted: `(N,)` the answers.
        labels: `(N,)` true classes.
        memory: `M` images.
        classes: K.
    """
    agrees = shares(memory.own, classes)[predicted]  # (N,)
    purity = shares(memory.labels, classes)[labels] if has_labels(memory) else None
    return measure_evidence(predicted == labels, agrees, purity)


def shares(values: Tensor, classes: int) -> Tensor:
    """Count which share of class indices `(M,)` is each class; `(K,)` float64."""
    return values.bincount(minlength=classes).double() / len(values)


def measure_nearest(
    queries: Tensor, predicted: Tensor, labels: Tensor, memory: Memory, *, batch_size: int
) -> EvidenceMeasures:
    """Measure the nearest neighbour in place of the top memory.

    It is the memory image whose features, by the same encoder, have the smallest Euclidean
    distance. By the model's own similarity the nearest image *is* the top memory, because sparsemax
    keeps the order: so of a model with the similarity l2 this control says nothing new.

    Args:
        queries: `(N, D)` features of the images.
        predicted: `(N,)` the answers.
        labels: `(N,)` true classes.
        memory: `M` images.
        batch_size: images compared at once.
    """
    found = find_nearest(queries, memory.features, batch_size=batch_size)
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
    largest = torch.maximum(queries.abs().max(), stored.abs().max())
    spread = 2.0 ** (SPREAD - torch.frexp(largest).exponent)  # exact, and no order changes
    queries, stored = queries * spread, stored * spread
    found = []
    for part in queries.split(batch_size):
        pairs = attend(part, stored, similarity="l2").pairs
        places, _, nearness = lay_out(pairs, len(part))
        found.append(places.gather(1, nearness.argmax(1, keepdim=True)).squeeze(1))
    return torch.cat(found)


def has_labels(memory: Memory) -> bool:
    """Say whether the label of every memory image is known."""
    return bool((memory.labels >= 0).all())
