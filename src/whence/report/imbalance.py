"""Classes of unequal size, in words, and what to look at then."""

from collections.abc import Sequence

from whence.messages import count, quote

UNEQUAL = 3
"""Times the smallest class that the largest may be before that is said."""


def say_imbalance(counts: Sequence[int], class_names: Sequence[str]) -> str | None:
    """Say that classes have unequal numbers of training images, and what to look at.

    Args:
        counts: training images of each class.
        class_names: in the same order.

    Returns:
        None where the largest class is at most three times the smallest.

    >>> say_imbalance([30, 10], ["whole", "broken"]) is None
    True
    """
    if not counts or max(counts) <= UNEQUAL * min(counts):
        return None
    most, least = counts.index(max(counts)), counts.index(min(counts))
    rare = class_names[least]
    return (
        f"The classes are unequal: {count(counts[most], 'training image')} of "
        f"{quote(class_names[most])}, {counts[least]:,} of {quote(rare)}. The accuracy can be high "
        f"while {quote(rare)} is missed, so look at the balanced accuracy and at its recall; "
        "--balance lets classes count alike, --target-recall and --cost set a threshold for one."
    )
