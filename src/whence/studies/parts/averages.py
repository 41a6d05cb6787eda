"""Numbers that stand at the same place in what each seed found."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any


def gather_at(parts: Sequence[Mapping[str, Any]], *path: str) -> list[float]:
    """List what stands at a path, in the parts where something does.

    >>> gather_at([{"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}], "a", "b")
    [1.0]
    """
    found = []
    for part in parts:
        value: Any = part
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            found.append(float(value))
    return found


def average_at(parts: Sequence[Mapping[str, Any]], *path: str) -> float | None:
    """Average what stands at a path, over the parts where something does; None where none does."""
    found = gather_at(parts, *path)
    return fmean(found) if found else None


def average_known(
    parts: Sequence[Mapping[str, Any]], paths: Mapping[str, Sequence[str]]
) -> dict[str, float] | None:
    """Average what stands at each path; None where nothing stands at one of them.

    >>> average_known([{"a": 1, "b": 3}, {"a": 2, "b": None}], {"first": ["a"], "second": ["b"]})
    {'first': 1.5, 'second': 3.0}
    """
    found = {name: average_at(parts, *path) for name, path in paths.items()}
    known = {name: value for name, value in found.items() if value is not None}
    return known if len(known) == len(paths) else None
