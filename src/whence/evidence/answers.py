"""Answers for cached features, and what the memory did for each; nothing is encoded here."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.memory_draw import draw_memory
from whence.evidence.reliance import split_answers
from whence.memory.attend import SMALL, attend, lay_out
from whence.memory.attention import recall
from whence.memory.bank import Bank
from whence.memory.heads import MemoryHead, Read
from whence.metrics import OF_MEMORY, OF_VOTES, WITHOUT_MEMORY
from whence.metrics.doubt import measure_doubts, read_alone, top_memory
from whence.models.classifier import Classifier
from whence.models.sound import check_outputs
from whence.seeds import make_generator

SECOND_MEMORY = 2**31
"""A bit of the draws' seed, flipped for the memories that memory images are classified with."""

PAIRS = 2**24
"""Pairs of an image and a memory image looked at together, all of which might have a weight."""


class Memory(NamedTuple):
    """The part of a bank that answers are computed and judged from."""

    features: Tensor  # (M, D)
    labels: Tensor  # (M,), -1 where not known
    own: Tensor  # (M,) the model's own class for each memory image
    scale: Tensor | None = None  # (M,) of the features, where it is known

    @classmethod
    def of(cls, model: Classifier) -> "Memory":
        """Take these tensors of a model's bank."""
        bank = model.checked_bank()
        scale = bank.scale(model.memory_head.similarity)
        return cls(bank.features, bank.labels, bank.predicted, scale)


class Traces(NamedTuple):
    """What the memory did for the answers of `N` images."""

    agrees: Tensor  # (N,) bool, the model's class for the memory of highest weight is the answer
    purity: Tensor  # (N,) weight on memory images whose label is the true class
    support: Tensor  # (N,) memory images with weight above 0
    reliance: Tensor  # (N,) how much of the answer comes from the memory; empty if not asked for


class Reading(NamedTuple):
    """What was read out of a memory for `B` queries."""

    read: Read  # weights and scores (B, S)
    places: Tensor  # (B, S) in the memory
    vectors: Tensor  # (B, D)


class Answers(NamedTuple):
    """Answers for `N` images."""

    logits: Tensor  # (N, K)
    doubts: Tensor  # (N, S), one column per signal that was asked for
    traces: Traces | None  # None for a standard model
    predicted: Tensor  # (N,) the answers


def signals_of(model: Classifier) -> tuple[str, ...]:
    """Name the signals of doubt that a model has, those first that say most of its head."""
    if not model.has_memory:
        return WITHOUT_MEMORY
    telling = model.memory_head.telling
    return (*telling, *(one for one in OF_MEMORY if one not in telling))


def add_class_scores(
    read: Read,
    head: MemoryHead,
    queries: Tensor,
    memory: "Memory | Bank",
    signals: Sequence[str],
    mask: Tensor | None = None,
) -> Read:
    """Add to what was read for `B` queries what signals of votes need; the rest need nothing.

    Args:
        read: of the queries.
        head: that read.
        queries: `(B, E)`.
        memory: `M` images.
        signals: that are asked for.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.
    """
    if set(signals).isdisjoint(OF_VOTES):
        return read
    by_class = head.score_classes(queries, memory.features, memory.labels, mask)
    return read._replace(by_class=by_class)


def answer(
    model: Classifier,
    queries: Tensor,
    labels: Tensor,
    memory: Memory | None,
    *,
    signals: Sequence[str] = (),
    with_reliance: bool = False,
    batch_size: int,
) -> Answers:
    """Classify features with one memory.

    Args:
        model: in eval mode.
        queries: `(N, D)` features.
        labels: `(N,)` true classes.
        memory: what the answers are computed from; None for a standard model.
        signals: names from ``SIGNALS``, computed for every image.
        with_reliance: compute for every image how much of its answer comes from the memory, which
            asks the last layers twice more.
        batch_size: queries classified at once, fewer with a large memory.
    """
    parts = []
    rows = batch_size if memory is None else rows_at_once(batch_size, len(memory.features))
    for part, truth in zip(queries.split(rows), labels.split(rows), strict=True):
        if memory is None:
            alone = read_alone(model.head(part))
            check_outputs("logits", alone.logits, model.head)
            alone = alone._replace(predicted=model.head.decide(alone.logits))
            doubts = measure_doubts(alone, labels.new_zeros(0), signals)
            parts.append(Answers(alone.logits, doubts, None, alone.answers))
        else:
            read, places, vectors = read_memory(model.memory_head, part, memory)
            check_outputs("logits", read.logits, model.head)
            read = read._replace(predicted=model.head.decide(read.logits))
            read = add_class_scores(read, model.memory_head, part, memory, signals)
            own, right = memory.own[places], memory.labels[places] == truth[:, None]
            doubts = measure_doubts(read, own, signals)
            reliance = labels.new_zeros(0)
            if with_reliance:
                stored = memory.features
                reliance = split_answers(model.memory_head, part, vectors, stored, read.logits)
            traces = trace(read, own, right, reliance)
            parts.append(Answers(read.logits, doubts, traces, read.answers))
    return join(parts)


def read_memory(head: MemoryHead, queries: Tensor, memory: Memory) -> Reading:
    """Classify features, and say what was read; of a large memory only what may have a weight.

    Args:
        head: of a model in eval mode.
        queries: `(B, D)` features.
        memory: `M` images.

    Returns:
        The answers, with weights and scores `(B, S)`, the places `(B, S)` in the memory that they
        belong to, and the memory vectors. The places are all `M` of a small memory, in order; of a
        large one they hold at least those with a weight, and what fills up a row has weight 0,
        score minus infinity and any place.
    """
    values = head.values(memory.features, memory.labels)
    if len(memory.features) <= SMALL:
        read: Read = head(queries, memory.features, labels=memory.labels, scale=memory.scale)
        places = torch.arange(len(memory.features), device=queries.device).expand_as(read.weights)
        return Reading(read, places, recall(read.weights, values))
    asked, stored = head.pair(queries, memory.features, memory.labels)
    found = attend(
        asked,
        stored,
        similarity=head.similarity,
        scale=memory.scale,
        values=values,
    )
    places, weights, scores = lay_out(found.pairs, len(queries))
    read = Read(head.respond(queries, found.vectors), weights, scores)
    return Reading(read, places, found.vectors)


def rows_at_once(batch_size: int, memory_images: int) -> int:
    """Return how many queries are compared with a memory at once.

    >>> rows_at_once(128, 100), rows_at_once(128, 50_000), rows_at_once(128, 10**9)
    (128, 128, 1)
    """
    return max(1, min(batch_size, PAIRS // memory_images))


def trace(read: Read, own: Tensor, right: Tensor, reliance: Tensor) -> Traces:
    """Note what the memory did for the answers to `B` images.

    Args:
        read: the answers, weights `(B, S)`.
        own: `(B, S)` the model's own class for each memory image.
        right: `(B, S)` bool, its label is the true class.
        reliance: `(B,)`, or empty.
    """
    return Traces(
        agrees=top_memory(read, own) == 0,
        purity=(read.weights * right).sum(1),
        support=(read.weights > 0).sum(1),
        reliance=reliance,
    )


def join(parts: Iterable[Answers]) -> Answers:
    """Put the answers to successive images together."""
    logits, doubts, traces, predicted = zip(*parts, strict=True)
    known = [one for one in traces if one is not None]
    joined = Traces(*map(torch.cat, zip(*known, strict=True))) if known else None
    return Answers(torch.cat(logits), torch.cat(doubts), joined, torch.cat(predicted))


def draw_passes(
    model: Classifier,
    queries: Tensor,
    labels: Tensor,
    memory: Memory,
    *,
    memory_size: int,
    draws: int,
    seed: int,
    draw_batch: int,
) -> list[Answers]:
    """Classify everything ``draws`` times, with a fresh memory for every batch.

    The paper's protocol (La Rosa et al. 2021, A.1.2). The model's own class for a memory image is
    predicted with a second memory, as in the paper.

    Args:
        model: in eval mode.
        queries: `(N, D)` features.
        labels: `(N,)` true classes.
        memory: what the memories are drawn from.
        memory_size: images per memory.
        draws: passes.
        seed: of the draws.
        draw_batch: images that share one memory, 500 in the paper.

    Returns:
        The answers for all `N` images, for each pass.
    """
    generator = make_generator(seed)
    second = make_generator(seed ^ SECOND_MEMORY)
    total, device = len(memory.features), memory.features.device
    passes = []
    for _ in range(draws):
        parts = []
        for part, truth in zip(queries.split(draw_batch), labels.split(draw_batch), strict=True):
            drawn, other = (
                draw_memory(total, memory_size, generator=g).to(device) for g in (generator, second)
            )
            features = memory.features[drawn]
            second_read = model.head(features, memory.features[other], labels=memory.labels[other])
            chosen = Memory(features, memory.labels[drawn], second_read.answers)
            parts.append(answer(model, part, truth, chosen, batch_size=draw_batch))
        passes.append(join(parts))
    return passes
