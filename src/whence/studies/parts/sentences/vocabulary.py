"""From words to numbers: a vocabulary, and sentences as rows of numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.shapes import check_shape

PAD, UNKNOWN = 0, 1
"""Numbers of no word at all, and of a word that the vocabulary lacks."""


class Numbered(NamedTuple):
    """Sentences as numbers of words."""

    numbers: Tensor  # (B, T) int64, PAD after the end
    lengths: Tensor  # (B,) int64, words of each, at least 1

    def take_rows(self, rows: Tensor) -> "Numbered":
        """Keep the sentences at ``rows`` `(n,)`, cut after the longest of them."""
        lengths = self.lengths[rows]
        return Numbered(self.numbers[rows, : int(lengths.max())], lengths)


def count_vocabulary(sentences: Sequence[tuple[str, ...]], *, least: int = 1) -> dict[str, int]:
    """Number the words that occur at least ``least`` times, the most frequent first, from 2 on.

    >>> count_vocabulary([("b", "a"), ("a",)], least=1)
    {'a': 2, 'b': 3}
    """
    counts = Counter(word for words in sentences for word in words)
    known = sorted(
        (word for word, count in counts.items() if count >= least),
        key=lambda word: (-counts[word], word),
    )
    return {word: number for number, word in enumerate(known, UNKNOWN + 1)}


def number_words(sentences: Sequence[tuple[str, ...]], known: Mapping[str, int]) -> Numbered:
    """Turn sentences into numbers of words.

    Raises:
        ValueError: if a sentence has no word.
    """
    rows = [torch.tensor([known.get(word, UNKNOWN) for word in words]) for words in sentences]
    return pad_rows(rows)


def pad_rows(rows: Sequence[Tensor]) -> Numbered:
    """Put rows of numbers, each `(t,)`, below each other.

    Raises:
        ValueError: if there is none, or one is empty.
    """
    if not rows or any(len(row) == 0 for row in rows):
        raise ValueError("every sentence must have at least one word.")
    lengths = torch.tensor([len(row) for row in rows])
    return Numbered(torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths)


def drop_words(numbers: Tensor, kept: Tensor) -> Numbered:
    """Leave words out of one sentence, in several ways; what remains moves together.

    A way that leaves no word keeps one that is unknown, since a network must read something.

    Args:
        numbers: `(T,)` of one sentence, without padding.
        kept: `(S, T)` bool, which words remain.

    Returns:
        S sentences.
    """
    check_shape("kept", kept, "S T", T=len(numbers))
    unknown = numbers.new_full((1,), UNKNOWN)
    return pad_rows([numbers[row] if bool(row.any()) else unknown for row in kept])
