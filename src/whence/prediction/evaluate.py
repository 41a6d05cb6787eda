"""Accuracy with the whole memory, and by the paper's protocol, from features encoded once."""

import statistics
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.memory_draw import draw_memory
from whence.memory.wrap import Read
from whence.metrics.top_memory import TopMemory, measure_top_memory
from whence.prediction.model import Classifier, encode_all, evaluating
from whence.records import ImageSet

DRAWS = 5
PAPER_BATCH = 500
SECOND_MEMORY = 2**32
"""Added to the seed of the draws for the memories that memory images are classified with."""


@dataclass(frozen=True)
class Accuracy:
    """Fractions in [0, 1] on one set of images.

    Attributes:
        images: how many were classified.
        whole_memory: with the bank; for a standard model its plain accuracy.
        per_class: the same for the images of each class, None for a class without images.
        draws: one accuracy per pass of the paper's protocol; None for a standard model.
        top: what the top memory says, with the bank; None for a standard model.
        draws_top: the same for each pass.
    """

    images: int
    whole_memory: float
    per_class: tuple[float | None, ...]
    draws: tuple[float, ...] | None = None
    top: TopMemory | None = None
    draws_top: tuple[TopMemory, ...] | None = None

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
            return Accuracy(len(images), mean(hits), split_by_class(hits, labels, model))
        bank = model.checked_bank()
        whole = answer(model, queries, bank.features, bank.predicted, batch_size=batch_size)
        passes = draw_passes(
            model,
            queries,
            bank.features,
            memory_size=memory_size,
            draws=draws,
            seed=seed,
            draw_batch=draw_batch,
        )
    hits = whole.logits.argmax(1) == labels
    draw_hits = [one.logits.argmax(1) == labels for one in passes]
    return Accuracy(
        len(images),
        mean(hits),
        split_by_class(hits, labels, model),
        tuple(mean(one) for one in draw_hits),
        measure_top_memory(hits, whole.agrees),
        tuple(
            measure_top_memory(right, one.agrees)
            for right, one in zip(draw_hits, passes, strict=True)
        ),
    )


class Answers(NamedTuple):
    """Answers for `N` images, and whether the top memory of each agrees."""

    logits: Tensor  # (N, K)
    agrees: Tensor  # (N,) bool, the model's class for the memory of highest weight is the answer


def answer(
    model: Classifier, queries: Tensor, memory: Tensor, own: Tensor, *, batch_size: int
) -> Answers:
    """Classify features with one memory.

    Args:
        model: in eval mode.
        queries: `(N, D)` features.
        memory: `(M, D)` features.
        own: `(M,)` the model's own class for each memory image.
        batch_size: queries classified at once.
    """
    logits, agrees = [], []
    for part in queries.split(batch_size):
        read: Read = model.head(part, memory)
        logits.append(read.logits)
        agrees.append(own[read.weights.argmax(1)] == read.logits.argmax(1))
    return Answers(torch.cat(logits), torch.cat(agrees))


def draw_passes(
    model: Classifier,
    queries: Tensor,
    memory: Tensor,
    *,
    memory_size: int,
    draws: int,
    seed: int,
    draw_batch: int = PAPER_BATCH,
) -> list[Answers]:
    """Classify everything ``draws`` times, with a fresh memory for every batch.

    The model's own class for a memory image is predicted with a second memory, as in the paper.

    Args:
        model: in eval mode.
        queries: `(N, D)` features.
        memory: `(M, D)` features that the memories are drawn from.
        memory_size: images per memory.
        draws: passes.
        seed: of the draws.
        draw_batch: images that share one memory, 500 in the paper.

    Returns:
        One record of answers for all `N` images per pass.
    """
    generator = torch.Generator().manual_seed(seed)
    second = torch.Generator().manual_seed(seed + SECOND_MEMORY)
    passes = []
    for _ in range(draws):
        parts = []
        for part in queries.split(draw_batch):
            drawn, other = (
                memory[draw_memory(len(memory), memory_size, generator=g).to(memory.device)]
                for g in (generator, second)
            )
            own = model.head(drawn, other).logits.argmax(1)  # (M,)
            parts.append(answer(model, part, drawn, own, batch_size=draw_batch))
        passes.append(Answers(*(torch.cat(column) for column in zip(*parts, strict=True))))
    return passes


def split_by_class(hits: Tensor, labels: Tensor, model: Classifier) -> tuple[float | None, ...]:
    """Average `(N,)` hits over the images of each class."""
    chosen = (hits[labels == label] for label in range(len(model.class_names)))
    return tuple(mean(part) if len(part) else None for part in chosen)


def mean(hits: Tensor) -> float:
    """Average truth values, in float64."""
    return float(hits.double().mean())
