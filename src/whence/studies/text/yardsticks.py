"""Which words an answer should come from: as a template says, or as words are counted."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import Numbered


def mark_carriers(carriers: Sequence[tuple[bool, ...]], longest: int) -> Tensor:
    """Lay out which words carry the class, `(B, T)` bool.

    >>> mark_carriers([(True, False)], 3)
    tensor([[ True, False, False]])
    """
    rows = [[*some, *[False] * (longest - len(some))] for some in carriers]
    return torch.tensor(rows, dtype=torch.bool)


def mark_speakers(weights: Tensor, sentences: Numbered, answers: Tensor) -> Tensor:
    """Mark the words that speak for the answers `(B,)` where words are counted, `(B, T)` bool.

    Args:
        weights: `(words, K)` of ``fit_word_weights``.
        sentences: B of them.
        answers: classes.
    """
    own = weights[sentences.numbers]  # (B, T, K)
    return own.gather(2, answers[:, None, None].expand(*own.shape[:2], 1)).squeeze(2) > 0


def judge_top_words(relevance: Tensor, marks: Tensor, lengths: Tensor) -> float:
    """Return the share of sentences whose word of highest relevance is marked.

    Args:
        relevance: `(B, T)`.
        marks: `(B, T)` bool.
        lengths: `(B,)`.
    """
    inside = torch.arange(relevance.shape[1]) < lengths[:, None]
    top = relevance.masked_fill(~inside, -torch.inf).argmax(1, keepdim=True)
    return float(marks.gather(1, top).double().mean())


def expect_by_chance(marks: Tensor, lengths: Tensor) -> float:
    """Return the share of sentences whose marked words one would hit by drawing a word."""
    return float((marks.sum(1).double() / lengths).mean())


def share_carriers(weights: Tensor, asked: Sentences, stored: Sentences) -> tuple[float, float]:
    """Return how much weight is on stored sentences with a carrying word of the asked one.

    Args:
        weights: `(B, M)` of the stored sentences.
        asked: B sentences from templates.
        stored: M.

    Returns:
        The mean weight, and what it would be if all stored sentences of a class weighed alike.
    """
    own, theirs = list_carriers(asked), list_carriers(stored)
    shared = torch.tensor([[bool(one & other) for other in theirs] for one in own])  # (B, M)
    same = asked.labels[:, None] == stored.labels  # (B, M)
    even = same.double() / same.sum(1, keepdim=True).clamp_min(1)
    found = ((weights.double() * shared).sum(1).mean(), (even * shared).sum(1).mean())
    return float(found[0]), float(found[1])


def list_carriers(sentences: Sentences) -> list[frozenset[str]]:
    """List the words of each sentence that carry its class.

    Raises:
        ValueError: if these are not known.
    """
    if sentences.carriers is None:
        raise ValueError("sentences must say which of their words carry the class.")
    return [
        frozenset(word for word, carries in zip(words, some, strict=True) if carries)
        for words, some in zip(sentences.words, sentences.carriers, strict=True)
    ]
