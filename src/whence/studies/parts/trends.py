"""What a claim lets one expect, part by part, and whether it came out."""

from collections.abc import Sequence
from typing import NamedTuple


class Trend(NamedTuple):
    """Whether something came out as published, and the numbers that decide."""

    met: bool
    sentence: str


def say_trends(trends: Sequence[Trend]) -> tuple[str, ...]:
    """Say of each part whether it is as published.

    >>> say_trends([Trend(True, "two and two are 4"), Trend(False, "pi is 3.2")])
    ('As published: two and two are 4.', 'Not as published: pi is 3.2.')
    """
    return tuple(
        f"{'As published' if one.met else 'Not as published'}: {one.sentence}." for one in trends
    )
