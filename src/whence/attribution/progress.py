"""How far a long attribution is, on a terminal, or told to who asked for it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from whence.progress_bar import make_bar

Piece = TypeVar("Piece")


Listener = Callable[[int, int], None]
"""Is told how many parts are done, and of how many."""

LISTENER: ContextVar[Listener | None] = ContextVar("LISTENER", default=None)
"""Of this thread."""


@contextmanager
def telling(listener: Listener) -> Iterator[None]:
    """Tell how far attributions of this thread are, in place of a bar, while the context lasts."""
    before = LISTENER.set(listener)
    try:
        yield
    finally:
        LISTENER.reset(before)


def count_parts(parts: Iterable[Piece], method: str, *, total: int, unit: str) -> Iterator[Piece]:
    """Go through the parts of a computation and count them, from the second second on.

    Args:
        parts: of the computation.
        method: its name.
        total: how many parts there are.
        unit: what one is.
    """
    listener = LISTENER.get()
    if listener is not None:
        for done, part in enumerate(parts):
            listener(done, total)
            yield part
        listener(total, total)
        return
    yield from make_bar(parts, desc=method, total=total, unit=unit, delay=1, leave=False)
