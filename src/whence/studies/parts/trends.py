"""What a claim lets one expect, part by part, and whether it came out."""

from collections.abc import Mapping, Sequence
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


def say_claims(trends: Sequence[Trend]) -> tuple[bool, str]:
    """Say whether all came out, and everything that decides, what did not come out a second time.

    >>> say_claims([Trend(True, "two and two are 4"), Trend(False, "pi is 3.2")])
    (False, 'Two and two are 4; pi is 3.2. Not borne out: pi is 3.2.')
    """
    text = "; ".join(one.sentence for one in trends)
    failed = "; ".join(one.sentence for one in trends if not one.met)
    broken = f" Not borne out: {failed}." if failed else ""
    return not failed, f"{text[0].upper()}{text[1:]}.{broken}"


def say_parts(judged: Mapping[str, bool]) -> str:
    """Say which parts of a claim held, and which did not.

    >>> say_parts({"rules": True, "students": False})
    '1 of 2 parts of the claim held: rules; not held: students.'
    >>> say_parts({"rules": False, "students": False})
    'None of the 2 parts of the claim held: rules, students.'
    >>> say_parts({"rules": True, "students": True})
    'All 2 parts of the claim held: rules, students.'
    """
    held, missed = ([name for name in judged if judged[name] is good] for good in (True, False))
    if held and missed:
        return (
            f"{len(held)} of {len(judged)} parts of the claim held: {', '.join(held)}; "
            f"not held: {', '.join(missed)}."
        )
    return f"{'All' if held else 'None of the'} {len(judged)} parts of the claim held: " + (
        f"{', '.join(judged)}."
    )
