"""Checks of options that commands share, before anything is loaded."""

from collections.abc import Sequence

from jsonargparse import Namespace

from whence.attribution.score_kinds import SCORE_KINDS
from whence.messages import quote


def check_choices(what: str, given: Sequence[str], choices: Sequence[str]) -> None:
    """Refuse names that are not to be chosen from.

    Raises:
        ValueError: with the choices.
    """
    for name in given:
        if name not in choices:
            raise ValueError(f"Unknown {what} {quote(name)}. Choose from: {', '.join(choices)}.")


def check_score(options: Namespace) -> None:
    """Refuse an unknown ``--score``.

    Raises:
        ValueError: with the names that there are.
    """
    check_choices("score", [] if options.score is None else [options.score], SCORE_KINDS)
