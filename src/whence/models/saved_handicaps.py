"""What balanced votes take off the scores of large classes, as JSON, checked when it is read."""

import torch

from whence.memory.heads import Head
from whence.memory.votes import Votes
from whence.models.saved_calibration import is_number


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
