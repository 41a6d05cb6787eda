"""Accuracy with the whole memory, and by the paper's protocol, from features encoded once."""

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.data.memory_draw import draw_memory
from whence.memory.wrap import Read
from whence.prediction.model import Classifier, encode_all, evaluating
from whence.records import ImageSet

DRAWS = 5
PAPER_BATCH = 500


@dataclass(frozen=True)
class Accuracy:
    """Fractions in [0, 1] on one set of images.

    Attributes:
        images: how many were classified.
        whole_memory: with the bank; for a standard model its plain accuracy.
        per_class: the same for the images of each class, None for a class without images.
        draws: one accuracy per pass of the paper's protocol; None for a standard model.
    """

    images: int
    whole_memory: float
    per_class: tuple[float | None, ...]
    draws: tuple[float, ...] | None

    @property
    def draws_mean(self) -> float | None:
        """Mean accuracy over the passes."""
        return None if self.draws is None else statistics.fmean(self.draws)

    @property
    def draws_std(self) -> float | None:
        """Population deviation over the passes."""
        return None if self.draws is None else statistics.pstdev(self.draws)


def evaluate(
    model: Classifier,
    images: ImageSet,
    *,
    memory_size: int = 100,
    draws: int = DRAWS,
    seed: int = 0,
    draw_batch: int = PAPER_BATCH,
    batch_size: int = 128,
) -> Accuracy:
    """Measure accuracy, encoding every image once.

    The features of a test image do not depend on the memory, so the five passes of the paper's
    protocol (batches of 500, each with a fresh memory of 100; La Rosa et al. 2021, A.1.2) cost
    five passes of the head; the memories are drawn from the bank's features.

    Args:
        model: with a bank, unless it is a standard model.
        images: test or validation images.
        memory_size: images per drawn memory; at most what the bank holds.
        draws: passes of the paper's protocol.
        seed: of the draws.
        draw_batch: images that share one drawn memory.
        batch_size: images encoded at once; changes memory use, not the result.

    Raises:
        ValueError: if there are no images, or fewer in the bank than ``memory_size``.
        RuntimeError: if the model has no bank that fits it.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image to evaluate, got none.")
    queries = encode_all(model, images.images, batch_size=batch_size)
    labels = images.labels.to(queries.device)
    with evaluating(model):
        if not model.has_memory:
            hits = model.head(queries).argmax(1) == labels
            return Accuracy(len(images), mean(hits), split_by_class(hits, labels, model), None)
        memory = model.checked_bank().features
        hits = classify(model, queries, memory, batch_size=batch_size).eq(labels)
        passes = tuple(
            mean(logits.argmax(1) == labels)
            for logits in draw_passes(
                model,
                queries,
                memory,
                memory_size=memory_size,
                draws=draws,
                seed=seed,
                draw_batch=draw_batch,
            )
        )
    return Accuracy(len(images), mean(hits), split_by_class(hits, labels, model), passes)


def classify(model: Classifier, queries: Tensor, memory: Tensor, *, batch_size: int) -> Tensor:
    """Classify `(N, D)` features with one memory `(M, D)`; returns `(N,)` class indices."""
    parts = [model.head(part, memory).logits.argmax(1) for part in queries.split(batch_size)]
    return torch.cat(parts)


def draw_passes(
    model: Classifier,
    queries: Tensor,
    memory: Tensor,
    *,
    memory_size: int,
    draws: int,
    seed: int,
    draw_batch: int = PAPER_BATCH,
) -> list[Tensor]:
    """Classify everything ``draws`` times, with a fresh memory for every batch.

    Args:
        model: in eval mode.
        queries: `(N, D)` features.
        memory: `(M, D)` features that the memories are drawn from.
        memory_size: images per memory.
        draws: passes.
        seed: of the draws.
        draw_batch: images that share one memory, 500 in the paper.

    Returns:
        One tensor of logits `(N, K)` per pass.
    """
    generator = torch.Generator().manual_seed(seed)
    passes = []
    for _ in range(draws):
        parts: list[Tensor] = []
        for part in queries.split(draw_batch):
            drawn = draw_memory(len(memory), memory_size, generator=generator).to(memory.device)
            read: Read = model.head(part, memory[drawn])
            parts.append(read.logits)
        passes.append(torch.cat(parts))
    return passes


def split_by_class(hits: Tensor, labels: Tensor, model: Classifier) -> tuple[float | None, ...]:
    """Average `(N,)` hits over the images of each class."""
    chosen = (hits[labels == label] for label in range(len(model.class_names)))
    return tuple(mean(part) if len(part) else None for part in chosen)


def mean(hits: Tensor) -> float:
    """Average truth values, in float64."""
    return float(hits.double().mean())
