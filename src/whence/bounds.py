"""The bounds of every number that a user may set: one table for Python, settings and commands."""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import SupportsFloat, SupportsIndex

from whence.messages import quote

BATCH_SIZE = 128
"""Images that a network sees at once unless another number is given: it changes memory use and
time, and no result beyond rounding. Images of a training step are another number, a recipe's."""

MANY = 10**9
"""More images, steps or seconds than this nobody has."""

LARGE = 1e38
"""Larger factors are infinite in single precision."""


@dataclass(frozen=True)
class Bounds:
    """What a number may be, both ends included unless they are said to be left out.

    Attributes:
        low: the smallest.
        high: the largest.
        whole: only whole numbers.
        above: ``low`` itself is refused.
        words: the same in words, where they are better than the numbers.
    """

    low: float
    high: float
    whole: bool = True
    above: bool = False
    words: str = ""


BOUNDS: Mapping[str, Bounds] = MappingProxyType(
    {
        "again": Bounds(1, 10**5),
        "area": Bounds(0, LARGE, whole=False),
        "batch_size": Bounds(1, 10**6),
        "channels": Bounds(1, 3),
        "checkpoint_seconds": Bounds(0, MANY, whole=False),
        "classes": Bounds(1, 10**5),
        "codes": Bounds(1, 2**16),
        "cost": Bounds(0, LARGE, whole=False, above=True),
        "draw_batch": Bounds(1, MANY),
        "draws": Bounds(0, 10**5),
        "epochs": Bounds(1, 10**6),
        "features": Bounds(1, 2**24),
        "final_learning_rate": Bounds(0, LARGE, whole=False),
        "folds": Bounds(2, 1000),
        "hard": Bounds(0, 10**4),
        "images": Bounds(1, 10**6),
        "iterations": Bounds(1, 10**6),
        "keep_checkpoints": Bounds(1, 10**6),
        "label_smoothing": Bounds(0, 1 - 2**-53, whole=False, words="in [0, 1)"),
        "learning_rate": Bounds(0, LARGE, whole=False),
        "least_steps": Bounds(1, MANY),
        "looks": Bounds(1, 10**6),
        "mean": Bounds(0, 1, whole=False, words="in [0, 1], as pixels are"),
        "memory_size": Bounds(1, MANY),
        "milestones": Bounds(1, 10**6),
        "momentum": Bounds(0, 1 - 2**-53, whole=False, words="in [0, 1)"),
        "neighbours": Bounds(1, 10**6),
        "noise": Bounds(0, 100, whole=False),
        "norm_weight": Bounds(0, LARGE, whole=False),
        "port": Bounds(0, 2**16 - 1, words="in 0 to 65535"),
        "pseudo_limit": Bounds(0, 1 - 2**-53, whole=False, above=True, words="above 0 and below 1"),
        "patch": Bounds(1, 2**13),
        "patience": Bounds(0, 10**6),
        "recall": Bounds(0, 1, whole=False, above=True, words="above 0 and at most 1"),
        "repeats": Bounds(1, 10**4),
        "ridge": Bounds(0, LARGE, whole=False),
        "samples": Bounds(1, 10**6),
        "sample": Bounds(1, MANY),
        "seed": Bounds(0, 2**63 - 1, words="in 0 to 2**63 - 1"),
        "seeds": Bounds(1, 10**5),
        "sharpness_radius": Bounds(0, LARGE, whole=False),
        "size": Bounds(1, 2**13),
        "sizes": Bounds(1, MANY),
        "smoothness": Bounds(0, LARGE, whole=False),
        "std": Bounds(0, 1, whole=False, above=True, words="above 0 and at most 1, as pixels are"),
        "steps": Bounds(1, 10**5),
        "stride": Bounds(1, 2**13),
        "superpixels": Bounds(1, 2**20),
        "target_recall": Bounds(0, 1, whole=False, above=True, words="above 0 and at most 1"),
        "test": Bounds(0, MANY),
        "top": Bounds(1, 10**5),
        "train_examples": Bounds(1, MANY),
        "validation_examples": Bounds(0, MANY),
        # beyond these, squares of float32 numbers lose or overflow
        "variance": Bounds(1e-6, 1e6, whole=False, words="in 1e-06 to 1e+06"),
        "warmup_epochs": Bounds(0, 10**6),
        "weight_averaging": Bounds(0, 1 - 2**-53, whole=False, words="in [0, 1)"),
        "weight_decay": Bounds(0, LARGE, whole=False),
        "workers": Bounds(1, 10**4),
    }
)
"""By the name of the argument, the setting or the option."""


def check_number(
    name: str,
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    shown: str | None = None,
) -> None:
    """Refuse a number that is not within the bounds of its name, or is none.

    Args:
        name: in ``BOUNDS``, with underscores or hyphens; quoted as it is.
        value: the number.
        least: the smallest that it may be here, in place of the low bound.
        above: what it must be above here, in place of the low bound.
        shown: what it is called where that is another name than the bounds'.

    Raises:
        TypeError: if it is no number, or not a whole one where it must be.
        ValueError: if it is too small, too large or not a number.

    >>> check_number("epochs", 0)
    Traceback (most recent call last):
    ValueError: epochs must be at least 1, got 0.
    """
    bounds, shown = BOUNDS[name.replace("-", "_")], shown or name
    if not (is_whole(value) if bounds.whole else is_real(value)):
        kind = "a whole number" if bounds.whole else "a number"
        raise TypeError(f"{shown} must be {kind}, got {quote(value)}.")
    low, open_low = bounds.low, bounds.above
    if least is not None or above is not None:
        low, open_low = (least, False) if least is not None else (above or 0, True)
    if value > low or (value == low and not open_low):
        if value <= bounds.high:
            return
        wanted = f"at most {bounds.high:,}" if bounds.whole else f"at most {bounds.high:g}"
    elif value != value:
        wanted = "a number"
    else:
        wanted = f"{'above' if open_low else 'at least'} {low:,}"
    raise ValueError(f"{shown} must be {bounds.words or wanted}, got {quote(value)}.")


def is_real(value: object) -> bool:
    """Say whether a value is one real number: of Python, NumPy or torch."""
    if not isinstance(value, SupportsFloat):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # of more than one, or complex
        return isinstance(value, int)
    return True


def is_whole(value: object) -> bool:
    """Say whether a value counts: an integer of Python, NumPy or torch."""
    if not isinstance(value, SupportsIndex):
        return False
    try:
        operator.index(value)
    except TypeError:  # a tensor or array of something else
        return False
    return True


def check_numbers(
    values: Iterable[tuple[str, object]], *, shown: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Check all numbers that have bounds, also those in tuples and lists; what is None passes.

    Args:
        values: names and values of options or settings.
        shown: what some of them are called in messages, by name.

    Raises:
        TypeError: if one is not a whole number where it must be.
        ValueError: naming the first that is out of its bounds.
    """
    for name, value in values:
        if name.replace("-", "_") in BOUNDS:
            for number in value if isinstance(value, tuple | list) else (value,):
                if isinstance(number, int | float):
                    check_number(name, number, shown=shown.get(name))
