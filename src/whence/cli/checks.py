"""Checks of options that commands share, before anything is loaded."""

from collections.abc import Sequence

from whence.messages import quote


def check_choices(what: str, given: Sequence[str], choices: Sequence[str]) -> None:
    """Refuse names that are not to be chosen from.

    Raises:
        ValueError: with the choices.
    """
    for name in given:
        if name not in choices:
            raise ValueError(f"Unknown {what} {quote(name)}. Choose from: {', '.join(choices)}.")
