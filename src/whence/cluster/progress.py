"""How far a number of runs is, and when it will be finished, in one line."""

import heapq
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from whence.runs.journal import LINE_SECONDS

Kind = TypeVar("Kind", bound=Hashable)

DRAW_SECONDS = 1.0
"""Between two changes of the line, where stderr is a terminal."""


@dataclass(frozen=True)
class Standing:
    """How far the runs are.

    Attributes:
        done, failed, running, waiting: runs; together they are all of them.
        workers: that could take a run.
        seconds: until the last run is finished; None while that is not known.
    """

    done: int
    failed: int
    running: int
    waiting: int
    workers: int
    seconds: float | None


def estimate(
    durations: Mapping[Kind, Sequence[float]],
    running: Sequence[tuple[Kind, float]],
    waiting: Sequence[Kind],
    workers: int,
) -> float | None:
    """Estimate the seconds until the last run ends.

    A run is expected to take the mean of the finished ones of its kind, or of all where its kind
    has none yet. Each worker that is free takes the next waiting run.

    Args:
        durations: seconds of the finished runs, by kind (the same settings but for the seed).
        running: kind and seconds so far of each run at work.
        waiting: kinds in the order they will be started.
        workers: that take runs.

    Returns:
        None before the first run is finished, or without a worker.

    >>> estimate({"a": [10.0]}, [("a", 4.0), ("a", 1.0)], ["a"], 2)
    16.0
    """
    everything = [seconds for each in durations.values() for seconds in each]
    if not everything or workers < 1:
        return None
    mean = statistics.fmean(everything)
    means = {kind: statistics.fmean(each) for kind, each in durations.items() if each}

    def expect(kind: Kind) -> float:
        return means.get(kind, mean)

    free = [max(expect(kind) - so_far, 0.0) for kind, so_far in running]
    free += [0.0] * (workers - len(free))
    heapq.heapify(free)
    for kind in waiting:
        heapq.heapreplace(free, free[0] + expect(kind))
    return max(free)


def describe(standing: Standing, now: datetime) -> str:
    """Write the line.

    >>> describe(Standing(3, 1, 2, 6, 2, 5400.0), datetime(2026, 11, 21, 23, 0))
    '3 of 12 runs done, 1 failed, 2 running, 6 waiting; 1:30:00 left, until Sun 00:30'
    """
    total = standing.done + standing.failed + standing.running + standing.waiting
    parts = [f"{standing.done} of {total} runs done"]
    for word in ("failed", "running", "waiting"):
        count = getattr(standing, word)
        if count:
            parts.append(f"{count} {word}")
    line = ", ".join(parts)
    if standing.running + standing.waiting == 0:
        return line
    if standing.workers == 0:
        return f"{line}; no worker is connected"
    if standing.seconds is None:
        return f"{line}; time left not known before the first is done"
    left = timedelta(seconds=round(standing.seconds))
    end = now + left
    if end.date() == now.date():
        clock = f"{end:%H:%M}"
    else:
        clock = f"{end:%a %H:%M}" if left < timedelta(days=6) else f"{end:%d %b %H:%M}"
    return f"{line}; {left} left, until {clock}"


def describe_result(folder: Path, metrics: dict[str, Any]) -> str:
    """Say how good a finished run is, by the paper's protocol where it has a memory."""
    test = metrics["test"]
    draws = test["accuracy_draws"]
    accuracy = test["accuracy"] if draws is None else draws["mean"]
    return f"{folder}: {accuracy:.2%} of {test['images']} test images right"


@contextmanager
def show_progress(
    clean: Callable[[str], str] = str,
) -> Iterator[tuple[Callable[[Callable[[], str]], None], Callable[[str], None]]]:
    """Show one line on stderr that changes; where that is no terminal, a line now and then.

    Args:
        clean: applied to every sentence that is printed.

    Yields:
        A function that takes what composes the line and calls it when the line is due, and one
        that prints a sentence above it.
    """
    bar = tqdm(total=0, bar_format="{desc}", file=sys.stderr, disable=None, leave=False)
    due = time.monotonic() + (LINE_SECONDS if bar.disable else 0.0)

    def show(compose: Callable[[], str]) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due:
            return
        if bar.disable:
            print_line(compose())
            due = now + LINE_SECONDS
        else:
            bar.set_description_str(compose())
            due = now + DRAW_SECONDS

    def print_line(sentence: str) -> None:
        tqdm.write(clean(sentence), file=sys.stderr)

    try:
        yield show, print_line
    finally:
        bar.close()
