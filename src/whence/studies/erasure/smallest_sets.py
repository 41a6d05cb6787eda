"""The smallest set whose removal changes an answer, by exact search: stored images, and words."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.evidence.reread import Cached, answer_without, read_whole, weigh_without
from whence.studies.parts.sentences.vocabulary import Numbered, drop_words

SETS_AT_ONCE = 2048


class SmallestSet(NamedTuple):
    """What was found for one answer.

    Attributes:
        places: of what is left out; None if no set up to ``searched`` changes the answer.
        becomes: the class that is answered then, -1 for none.
        searched: size up to which every set that could change the answer was tried.
    """

    places: tuple[int, ...] | None
    becomes: int
    searched: int


def find_smallest_evidence(cached: Cached, *, largest: int, most_sets: int) -> list[SmallestSet]:
    """Find for B queries the smallest sets of stored images without which their answers change.

    Sets grow by one stored image that has a weight without the others: leaving out one that has
    none changes nothing, so a smallest set can be taken out in an order in which each has a weight
    when its turn comes. What is found is therefore smallest among all sets, not only those tried.

    Args:
        cached: queries and stored images.
        largest: size at which the search ends.
        most_sets: that are tried of one size; where there are more, the search ends below it.
    """
    answers = read_whole(cached).answers
    return [
        search_evidence(cached, row, int(answer), largest, most_sets)
        for row, answer in enumerate(answers.tolist())
    ]


def search_evidence(
    cached: Cached, row: int, answer: int, largest: int, most_sets: int
) -> SmallestSet:
    """Search for one query; the set of the largest change among the smallest."""
    kept, device = int(cached.scores[row].isfinite().sum()), cached.scores.device
    sets = torch.zeros(1, 0, dtype=torch.int64, device=device)
    for size in range(1, largest + 1):
        if size >= kept:  # something must be left to answer from
            return SmallestSet(None, -1, size - 1)
        sets = grow_sets(cached, row, sets)  # (S, size)
        if len(sets) > most_sets:
            return SmallestSet(None, -1, size - 1)
        if len(sets) == 0:
            return SmallestSet(None, -1, largest)
        rows = torch.full((len(sets),), row, device=device)
        logits = answer_without(cached, rows, sets, batch_size=SETS_AT_ONCE)
        margins = cached.head.margin(logits, torch.full((len(sets),), answer, device=device))
        becomes = cached.head.decide(logits)
        changed = (becomes != answer).nonzero().squeeze(1)
        if len(changed):
            best = int(changed[margins[changed].argmin()])
            return SmallestSet(tuple(sets[best].tolist()), int(becomes[best]), size)
    return SmallestSet(None, -1, largest)


def grow_sets(cached: Cached, row: int, sets: Tensor) -> Tensor:
    """Add to sets `(S, n)` each stored image that has a weight without them, `(T, n + 1)`."""
    grown = []
    for some in sets.split(SETS_AT_ONCE):
        rows = torch.full((len(some),), row, device=some.device)
        places, weights = weigh_without(cached.scores, rows, some)
        which, column = (weights > 0).nonzero(as_tuple=True)
        grown.append(torch.cat([some[which], places[which, column][:, None]], 1))
    ordered = torch.cat(grown).sort(1).values
    found: Tensor = ordered.unique(dim=0)
    return found


AnswerWords = Callable[[Numbered], Tensor]
"""Maps n sentences to their log probabilities `(n, K)`."""


def find_smallest_words(
    answer: AnswerWords, words: Tensor, *, largest: int, batch: int = 1024
) -> SmallestSet:
    """Find the smallest set of words without which a sentence is answered otherwise.

    Every set is tried, smaller ones first; what remains of the sentence moves together.

    Args:
        answer: the network.
        words: `(T,)` numbers of one sentence.
        largest: size at which the search ends.
        batch: sentences answered at once.
    """
    before = answer_sets(answer, words, [()])
    label, total = int(before.argmax()), len(words)
    for size in range(1, min(largest, total) + 1):
        best: tuple[float, tuple[int, ...], int] | None = None
        for sets in take_batches(itertools.combinations(range(total), size), batch):
            said = answer_sets(answer, words, sets)
            becomes = said.argmax(1)
            for place in (becomes != label).nonzero().squeeze(1).tolist():
                found = (float(said[place, label]), sets[place], int(becomes[place]))
                best = found if best is None else min(best, found)
        if best is not None:
            return SmallestSet(best[1], best[2], size)
    return SmallestSet(None, -1, min(largest, total))


def remove_words_greedily(answer: AnswerWords, words: Tensor, *, largest: int) -> SmallestSet:
    """Leave out one word after another, each time the one without which the answer is least likely.

    Arguments as for ``find_smallest_words``.
    """
    label = int(answer_sets(answer, words, [()]).argmax())
    gone: tuple[int, ...] = ()
    for size in range(1, min(largest, len(words)) + 1):
        sets = [(*gone, one) for one in range(len(words)) if one not in gone]
        said = answer_sets(answer, words, sets)
        best = int(said[:, label].argmin())
        gone = tuple(sorted(sets[best]))
        if int(said[best].argmax()) != label:
            return SmallestSet(gone, int(said[best].argmax()), size)
    return SmallestSet(None, -1, 0)


def answer_sets(answer: AnswerWords, words: Tensor, sets: Sequence[tuple[int, ...]]) -> Tensor:
    """Answer a sentence `(T,)` without each of several sets of places, `(S, K)`."""
    kept = torch.ones(len(sets), len(words), dtype=torch.bool)
    for row, gone in enumerate(sets):
        kept[row, list(gone)] = False
    return answer(drop_words(words, kept))


def take_batches(sets: Iterator[tuple[int, ...]], batch: int) -> Iterator[list[tuple[int, ...]]]:
    """Take sets a batch at a time."""
    while some := list(itertools.islice(sets, batch)):
        yield some
