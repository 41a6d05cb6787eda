"""What takes longer than a person waits without a bar: computed in a thread of its own."""

import contextvars
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Told = Callable[[int, int], None]

MOST_JOBS = 64
"""Whose results are kept."""

MOST_WAITING = 16
"""Computations that wait for their turn or have it; more are refused."""


@dataclass
class Computation:
    """One computation.

    Attributes:
        done, total: how far it is; 0 of 0 where that is not known.
        result: what came out, None until then.
        error: one sentence where it failed.
    """

    done: int = 0
    total: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None


class Jobs:
    """Computations one after another, so that they leave the machine to the answers."""

    def __init__(self) -> None:
        self.kept: OrderedDict[int, Computation] = OrderedDict()
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.turn = threading.Lock()
        self.waiting = 0

    def start(self, work: Callable[[Told], dict[str, Any]]) -> int:
        """Begin a computation, which is told by what to say how far it is; returns its number.

        Raises:
            ValueError: if too many wait already.
        """
        job = Computation()
        with self.lock:
            if self.waiting >= MOST_WAITING:
                raise ValueError(
                    f"{MOST_WAITING} computations wait already; try again when they are done."
                )
            self.waiting += 1
            number = next(self.numbers)
            self.kept[number] = job
            while len(self.kept) > MOST_JOBS:
                self.kept.popitem(last=False)

        def tell(done: int, total: int) -> None:
            job.done, job.total = done, total

        def run() -> None:
            with self.turn:
                try:
                    job.result = work(tell)
                except (ValueError, RuntimeError, TypeError, ModuleNotFoundError) as error:
                    job.error = str(error)
                finally:  # also where whence has a fault, whose traceback the terminal gets
                    if job.result is None and job.error is None:
                        job.error = (
                            "The computation broke off; the terminal of whence view says why."
                        )
                    with self.lock:
                        self.waiting -= 1

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), daemon=True).start()
        return number

    def find(self, number: int) -> Computation:
        """Return a computation.

        Raises:
            ValueError: if there is none of that number.
        """
        with self.lock:
            if number not in self.kept:
                raise ValueError("That computation is not known any more; start it again.")
            return self.kept[number]
