"""Controls for the measures of the evidence: another image in place of the top memory."""

import torch
from torch import Tensor

from whence.memory.attention import l2
from whence.metrics.evidence import EvidenceMeasures, measure_evidence
from whence.prediction.answers import Memory, rows_at_once


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
        batch_size: images compared at once, fewer with a large memory.
    """
    rows = rows_at_once(batch_size, len(memory.features))
    found = torch.cat([l2(part, memory.features).argmax(1) for part in queries.split(rows)])
    predicted = logits.argmax(1)
    purity = (memory.labels[found] == labels).double() if has_labels(memory) else None
    return measure_evidence(predicted == labels, memory.own[found] == predicted, purity)


def has_labels(memory: Memory) -> bool:
    """Say whether the label of every memory image is known."""
    return bool((memory.labels >= 0).all())
