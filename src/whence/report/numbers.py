"""Shares as text, and the answer that remains when a stored image is left out."""

import math
from collections.abc import Iterable

from whence.messages import format_number
from whence.records.answers import Evidence


def percent(share: float) -> str:
    """Write a share in [0, 1] as a percentage that is never rounded to a false 0 or 100.

    >>> percent(0.8125), percent(0.0004), percent(0.9999), percent(1.0)
    ('81.2%', 'under 0.1%', 'over 99.9%', '100%')
    """
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001:
        return "under 0.1%"
    return "over 99.9%" if share > 0.999 else f"{share:.1%}"


def signed(value: float) -> str:
    """Write a number with its sign and three digits.

    >>> signed(1.2345), signed(-0.5), signed(0.0)
    ('+1.23', '−0.5', '0')
    """
    return "0" if float(f"{value:.3g}") == 0 else format_number(value, "+.3g")


def out_of(share: float) -> str:
    """Say a share in [0, 1] as a count of ten, or of a hundred where ten is too coarse.

    >>> out_of(0.31), out_of(0.97), out_of(0.042)
    ('about 3 of 10', 'about 97 of 100', 'about 4 of 100')
    >>> out_of(0.001), out_of(0.9999)
    ('fewer than 1 of 100', 'more than 99 of 100')
    """
    if share < 0.01:
        return "fewer than 1 of 100"
    if share > 0.99:
        return "more than 99 of 100"
    if 0.1 <= share <= 0.9:
        return f"about {round(share * 10)} of 10"
    return f"about {round(share * 100)} of 100"


def add_weights(items: Iterable[Evidence], role: str | None = None) -> float:
    """Sum the weights of evidence, of one role or of all; in [0, 1].

    Weights are float32 and sum to 1 up to their last digits, which are rounded away.
    """
    return min(1.0, round(sum(item.weight for item in items if role in (None, item.role)), 6))


def number_or_none(value: float, form: str) -> str:
    """Write a number, or that there is none.

    >>> number_or_none(1.25, ".1f"), number_or_none(float("nan"), ".1f")
    ('1.2', 'no number')
    """
    return format_number(value, form) if math.isfinite(value) else "no number"


def any_share(share: float) -> str:
    """Write a share as a percentage, also one below 0 or above 1.

    >>> any_share(0.5), any_share(1.25), any_share(float("nan"))
    ('50.0%', '125.0%', 'no number')
    """
    if 0 <= share <= 1:
        return percent(share)
    return number_or_none(share, ".1%")
