"""The mean of what a method found several times."""

import operator
from collections.abc import Callable, Iterable
from functools import reduce

from torch import Tensor

from whence.attribution.found import FoundRelevance


def average_found(found: Iterable[FoundRelevance], total: int, sentence: str) -> FoundRelevance:
    """Average relevance, start and ledger of several results, one after the other.

    A ledger is linear, so where each of them adds up, so does the mean.

    Args:
        found: results of the same images, with the same lines.
        total: how many there are.
        sentence: what a pixel's mean number means.
    """
    shares = (combine_found(lambda value: value / total, one) for one in found)
    mean = reduce(lambda one, other: combine_found(operator.add, one, other), shares)
    return mean._replace(sentence=sentence)


def combine_found(function: Callable[..., Tensor], *found: FoundRelevance) -> FoundRelevance:
    """Make one result of several by a function of their tensors; None where one has none."""

    def combine(*values: Tensor | None) -> Tensor | None:
        return None if any(value is None for value in values) else function(*values)

    lines = [one.lines or {} for one in found]
    return FoundRelevance(
        function(*(one.images for one in found)),
        combine(*(one.evidence for one in found)),
        found[0].sentence,
        start=combine(*(one.start for one in found)),
        lines={name: function(*(one[name] for one in lines)) for name in lines[0]},
    )
