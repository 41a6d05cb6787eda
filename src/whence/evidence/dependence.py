"""How far the answers to many images hang on the stored images, from cached features."""

import torch
from torch import Tensor

from whence.evidence.answers import Answers, Memory, rows_at_once
from whence.evidence.controls import has_labels
from whence.memory.heads import MemoryHead
from whence.records.measures import Reliance


def measure_dependence(
    head: MemoryHead,
    queries: Tensor,
    labels: Tensor,
    memory: Memory,
    answers: Answers,
    *,
    batch_size: int,
) -> Reliance:
    """Summarise the reliance of answers, and count those that change without their class.

    Of every right answer, all stored images of the class that is answered are left out of the
    memory, and it is answered again. Where that hardly ever changes the answer, the stored images
    that are shown as evidence did not decide it.

    Args:
        head: of a model in eval mode.
        queries: `(N, D)` features of the images.
        labels: `(N,)` their true classes.
        memory: what they were answered from.
        answers: with their reliance.
        batch_size: answers computed at once; changes memory use, not the result.

    Raises:
        ValueError: if the answers come without their reliance.
    """
    traces = answers.traces
    if traces is None or len(traces.reliance) != len(labels):
        raise ValueError("answers must be computed with their reliance.")
    reliance = traces.reliance.double()
    lower, median, upper = torch.quantile(
        reliance, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, device=reliance.device)
    ).tolist()
    right = changed = share = None
    if has_labels(memory):
        rows = find_testable(answers.predicted, labels, memory.labels)
        right = len(rows)
        read = rows[traces.purity[rows] > 0]  # no weight on the class: nothing would change
        changed = count_changed(head, queries[read], labels[read], memory, batch_size=batch_size)
        share = changed / right if right else None
    return Reliance(float(reliance.mean()), lower, median, upper, right, changed, share)


def find_testable(predicted: Tensor, labels: Tensor, stored: Tensor) -> Tensor:
    """Find the right answers whose class can be left out of the memory, with something left.

    Args:
        predicted: `(N,)` answers.
        labels: `(N,)` true classes.
        stored: `(M,)` classes of the stored images.

    Returns:
        `(n,)` places in the answers.

    >>> stored = torch.tensor([0, 0, 1])
    >>> find_testable(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 2]), stored)
    tensor([0, 2])
    """
    present = stored.bincount(minlength=1 + int(labels.max()))[labels] > 0  # (N,)
    others = len(stored.unique()) > 1
    return ((predicted == labels) & present & others).nonzero().squeeze(1)


def count_changed(
    head: MemoryHead, queries: Tensor, labels: Tensor, memory: Memory, *, batch_size: int
) -> int:
    """Count the right answers that change when the stored images of their class are left out.

    Args:
        head: of a model in eval mode.
        queries: `(n, D)` features.
        labels: `(n,)` their true classes, which they are answered with.
        memory: with images of every one of these classes, and of others.
        batch_size: answers computed at once.
    """
    changed, rows = 0, rows_at_once(batch_size, len(memory.features))
    for part, classes in zip(queries.split(rows), labels.split(rows), strict=True):
        kept = memory.labels != classes[:, None]  # (B, M)
        logits = head.logits(part, memory.features, kept, labels=memory.labels, scale=memory.scale)
        changed += int((head.decide(logits) != classes).sum())
    return changed
