"""Expectations that were checked: what holds, and what was found instead."""

from collections.abc import Iterator
from dataclasses import dataclass

from whence.records.show import to_html

NAMED_PROBLEMS = 5
"""Images that a failure names."""


@dataclass(frozen=True)
class Checked:
    """One expectation, and what came of it.

    Attributes:
        title: what is expected.
        holds: it is so.
        found: what was found, in a clause.
        images: that were looked at.
        failed: how many of them are otherwise.
        problems: the first of these, in a clause each.
        severity: the largest, where a function of the user's own says one; else 1 or 0.
    """

    title: str
    holds: bool
    found: str
    images: int
    failed: int
    problems: tuple[str, ...] = ()
    severity: float = 0.0


@dataclass(frozen=True)
class Checks:
    """All expectations of a file, or of a program, in their order.

    Attributes:
        items: one for each.
    """

    items: tuple[Checked, ...]

    @property
    def hold(self) -> bool:
        """Say whether all of them hold."""
        return all(one.holds for one in self.items)

    @property
    def failed(self) -> tuple[Checked, ...]:
        """Return those that do not hold."""
        return tuple(one for one in self.items if not one.holds)

    def __iter__(self) -> Iterator[Checked]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def _repr_html_(self) -> str:
        rows: list[tuple[object, ...]] = [
            ("holds" if one.holds else "FAILS", one.title, one.found, one.images, one.failed)
            for one in self.items
        ]
        title = f"{len(self.failed)} of {len(self.items)} checks fail"
        return to_html(title, ("", "expected", "found", "images", "otherwise"), rows)
