"""What votes have beside their tensors, as JSON, checked when it is read.

What balanced votes take off the scores of large classes, and the share of the features themselves
in votes that took classes which they were not trained for.
"""

import torch

from whence.memory.heads import Head
from whence.memory.votes import Votes
from whence.models.saved_calibration import is_number

LARGEST_SHARE = 1e3
"""Of the features themselves, beside 1 of the keys."""


def handicaps_to_json(head: Head) -> list[float] | None:
    """Lay the handicaps of a head out; None where it has none."""
    if not isinstance(head, Votes) or head.handicaps is None:
        return None
    found: list[float] = head.handicaps.tolist()
    return found


def set_handicaps(head: Head, content: list[float] | None) -> None:
    """Give a head the handicaps of JSON that was checked."""
    if isinstance(head, Votes) and content is not None:
        head.handicaps = torch.tensor(content, dtype=torch.float32, device=head.mean.device)


def count_even_directions(head: Head) -> int | None:
    """Return R, the directions that the features of a head are compared along; None for none."""
    if not isinstance(head, Votes) or head.even_directions is None:
        return None
    return len(head.even_directions)


def make_room_for_directions(head: Head, content: int | None) -> None:
    """Give a head as many directions as JSON that was checked says, to be read from a file."""
    if isinstance(head, Votes) and content is not None:
        head.even_directions = head.mean.new_zeros(content, head.features)


def find_problem_of_directions(content: object, *, share: object, features: int) -> str | None:
    """Check the number of directions read from JSON; return the problem as a clause.

    Args:
        content: None, or R.
        share: of the features in the scores; None without one.
        features: D.
    """
    if content is None:
        return None
    if share is None:
        return "must have even_directions with a plain_share alone"
    if type(content) is not int or not 1 <= content <= features:
        return f"must have 1 to {features} even_directions, or null"
    return None


def plain_share_to_json(head: Head) -> float | None:
    """Return the share of the features themselves in the scores of a head; None for none."""
    return head.plain_share or None if isinstance(head, Votes) else None


def set_plain_share(head: Head, content: float | None) -> None:
    """Give a head the share of JSON that was checked."""
    if isinstance(head, Votes) and content is not None:
        head.plain_share = float(content)


def find_problem_of_plain_share(content: object, *, variant: object) -> str | None:
    """Check the share read from JSON, None or a number above 0; return the problem as a clause."""
    if content is None:
        return None
    if variant != Votes.variant:
        return "must have a plain_share of votes alone"
    if not is_number(content) or not 0 < float(str(content)) <= LARGEST_SHARE:
        return f"must have a plain_share above 0 and at most {LARGEST_SHARE:g}, or null"
    return None


def find_problem_of_handicaps(content: object, *, variant: object, classes: int) -> str | None:
    """Check handicaps read from JSON; return the problem as a clause.

    Args:
        content: None, or a number for each class.
        variant: of the head; only votes have any.
        classes: K.
    """
    if content is None:
        return None
    if variant != Votes.variant:
        return "must have handicaps of votes alone"
    if not isinstance(content, list) or len(content) != classes or not all(map(is_number, content)):
        return f"must have {classes} finite handicaps, one per class, or null"
    return None
