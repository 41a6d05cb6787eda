"""The stored images that answers rest on."""

from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates, lead_with_each_class


def take_most_used(candidates: StoredCandidates, size: int) -> Tensor:
    """Take the images to which the answers to the queries give most weight.

    Returns:
        `(size,)` places.
    """
    order = candidates.usage.argsort(descending=True, stable=True)
    return lead_with_each_class(order, candidates)[:size]


SUPPORT = SelectionMethod(
    take_most_used, asks=True, sentence="those that answers to the validation images rest on most"
)
