"""Checks of options that commands share, before anything is loaded."""

from collections.abc import Sequence

from jsonargparse import Namespace

SEEDS = 2**63
"""Seeds are below this number, which is what a generator takes."""


def check_least(options: Namespace, **least: int) -> None:
    """Refuse numbers that are too small.

    Args:
        options: of a command.
        least: the smallest number that each option may have, by name.

    Raises:
        ValueError: naming the first that is smaller.
    """
    for name, low in least.items():
        number = getattr(options, name)
        if number < low:
            raise ValueError(f"{name.replace('_', '-')} must be at least {low}, got {number}.")


def check_seed(seed: int | None) -> None:
    """Refuse a seed that no generator takes.

    Raises:
        ValueError: if it is negative or too large.
    """
    if seed is not None and not 0 <= seed < SEEDS:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {seed}.")


def check_choices(what: str, given: Sequence[str], choices: Sequence[str]) -> None:
    """Refuse names that are not to be chosen from.

    Raises:
        ValueError: with the choices.
    """
    for name in given:
        if name not in choices:
            raise ValueError(f"Unknown {what} {name!r}. Choose from: {', '.join(choices)}.")
