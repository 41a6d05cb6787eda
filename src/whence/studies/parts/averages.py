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
