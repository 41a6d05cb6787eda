"""How far a long attribution is, on a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from whence.progress_bar import make_bar

Piece = TypeVar("Piece")


def count_parts(parts: Iterable[Piece], method: str, *, total: int, unit: str) -> Iterator[Piece]:
    """Go through the parts of a computation and count them, from the second second on.

    Args:
        parts: of the computation.
        method: its name.
        total: how many parts there are.
        unit: what one is.
    """
    yield from make_bar(parts, desc=method, total=total, unit=unit, delay=1, leave=False)
