"""The log, the checkpoints and the progress bar of a training in a folder."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tqdm import tqdm

from whence.storage.checkpoint import Checkpoint, write_checkpoint
from whence.storage.plain_files import read_small
from whence.storage.whole_files import write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOG = "log.jsonl"

LINE_SECONDS = 60.0
"""Between two lines on how far a training is, where stderr is no terminal and no bar is drawn."""


@dataclass
class Journal:
    """Writes what a training reports.

    Attributes:
        folder: of the training.
        log: its open log.
        bar: counts epochs.
        identity: what the training is, for the checkpoints.
        checkpoint_seconds: least time between two of them.
        before: seconds of training before this start.
        started: when this start was, by the monotonic clock.
        written: when the last checkpoint was complete.
        epochs: of the whole training.
        steps: of each epoch.
        first: steps that were done before this start.
        done: steps that are done.
        line_seconds: least time between two lines on how far the training is.
        told: when the last such line was printed.
        shown: numbers of the last epoch.
        began: when the first step of this start was done. What comes before it (a frozen encoder
            encodes all images) is no measure of the steps that are left.
        clock: tells the time in seconds, and never goes back.
    """

    folder: Path
    log: IO[str]
    bar: "tqdm[Any]"
    identity: Mapping[str, Any]
    checkpoint_seconds: float
    before: float
    started: float
    written: float
    epochs: int
    steps: int
    first: int
    done: int
    line_seconds: float
    told: float
    clock: Callable[[], float]
    shown: str = ""
    began: float | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds of training so far, with those before."""
        return self.before + self.clock() - self.started

    def on_step(self, make: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint, and say how far the training is, if the last one is old enough."""
        now = self.clock()
        self.done += 1
        if self.began is None:
            self.began = now
        if self.bar.disable and now - self.told >= self.line_seconds:
            self.told = now
            tqdm.write(self.describe(now), file=sys.stderr)
        if now - self.written >= self.checkpoint_seconds:
            made = make()
            os.fsync(self.log.fileno())  # the checkpoint counts on the lines before it
            about = {"seconds": self.before + now - self.started, "run": dict(self.identity)}
            write_checkpoint(self.folder, Checkpoint(made.tensors, made.numbers | about))
            self.written = self.clock()  # writing may take longer than the time between two

    def on_epoch(self, epoch: int, report: "DataclassInstance", **shown: str) -> None:
        """Log the report of an epoch, and show a few of its numbers beside the bar."""
        self.log.write(json.dumps(asdict(report)) + "\n")
        self.log.flush()
        self.shown = "".join(f", {name} {number}" for name, number in shown.items())
        self.bar.set_postfix(shown)
        self.bar.update(epoch - self.bar.n)

    def describe(self, now: float) -> str:
        """Say how far the training is at a time of the monotonic clock, and how long it takes."""
        total = self.steps * self.epochs
        left, timed = "", self.done - self.first - 1
        if self.began is not None and timed > 0:
            each = (now - self.began) / timed
            left = f"; {timedelta(seconds=round(each * (total - self.done)))} left"
        return (
            f"{self.folder.name}: {self.done:,} of {total:,} steps, "
            f"{self.done // self.steps} of {self.epochs} epochs{self.shown}{left}"
        )


class Silence:
    """Stands in for the journal in a process that reports nothing."""

    seconds = 0.0

    def on_step(self, make: Callable[[], Checkpoint]) -> None:
        """Write no checkpoint."""

    def on_epoch(self, epoch: int, report: "DataclassInstance", **shown: str) -> None:
        """Log nothing."""


SILENT = Silence()


@contextmanager
def keep_journal(
    folder: Path,
    checkpoint: Checkpoint | None,
    *,
    epochs: int,
    steps: int,
    identity: Mapping[str, Any],
    checkpoint_seconds: float,
    line_seconds: float = LINE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Journal | Silence]:
    """Open the journal of a training that begins, or goes on from a checkpoint.

    Args:
        folder: of the training.
        checkpoint: where it goes on; its numbers hold "step" and "seconds".
        epochs: of the whole training.
        steps: of each epoch.
        identity: what the training is, for the checkpoints.
        checkpoint_seconds: least time between two of them.
        line_seconds: least time between two lines on how far it is, where stderr is no terminal.
        clock: tells the time in seconds, and never goes back.
    """
    done = 0 if checkpoint is None else checkpoint.numbers["step"] // steps
    before = 0.0 if checkpoint is None else float(checkpoint.numbers["seconds"])
    trim_log(folder / LOG, epochs=done)
    with (
        (folder / LOG).open("a") as log,
        tqdm(total=epochs, initial=done, unit="epoch", disable=None, leave=False) as bar,
    ):
        now = clock()
        first = 0 if checkpoint is None else checkpoint.numbers["step"]
        yield Journal(
            folder,
            log,
            bar,
            identity,
            checkpoint_seconds,
            before,
            started=now,
            written=now,
            epochs=epochs,
            steps=steps,
            first=first,
            done=first,
            line_seconds=line_seconds,
            told=now,
            clock=clock,
        )


def trim_log(path: Path, *, epochs: int) -> None:
    """Drop the lines of epochs that the checkpoint has not seen; they will be run again."""
    there = path.exists() or path.is_symlink()
    lines = read_small(path).splitlines()[:epochs] if there else []
    write_whole(path, b"".join(line + b"\n" for line in lines))
