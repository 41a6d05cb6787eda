"""The log, the checkpoints and the progress bar of a training in a folder."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tqdm import tqdm

from whence.storage.checkpoint import Checkpoint, write_checkpoint
from whence.storage.plain_files import read_small
from whence.storage.whole_files import write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOG = "log.jsonl"


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
    """

    folder: Path
    log: IO[str]
    bar: "tqdm[Any]"
    identity: Mapping[str, Any]
    checkpoint_seconds: float
    before: float
    started: float
    written: float

    @property
    def seconds(self) -> float:
        """Return the seconds of training so far, with those before."""
        return self.before + time.monotonic() - self.started

    def on_step(self, make: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint if the last one is old enough."""
        now = time.monotonic()
        if now - self.written >= self.checkpoint_seconds:
            made = make()
            os.fsync(self.log.fileno())  # the checkpoint counts on the lines before it
            about = {"seconds": self.before + now - self.started, "run": dict(self.identity)}
            write_checkpoint(self.folder, Checkpoint(made.tensors, made.numbers | about))
            self.written = time.monotonic()  # writing may take longer than the time between two

    def on_epoch(self, epoch: int, report: "DataclassInstance", **shown: str) -> None:
        """Log the report of an epoch, and show a few of its numbers beside the bar."""
        self.log.write(json.dumps(asdict(report)) + "\n")
        self.log.flush()
        self.bar.set_postfix(shown)
        self.bar.update(epoch - self.bar.n)


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
) -> Iterator[Journal | Silence]:
    """Open the journal of a training that begins, or goes on from a checkpoint.

    Args:
        folder: of the training.
        checkpoint: where it goes on; its numbers hold "step" and "seconds".
        epochs: of the whole training.
        steps: of each epoch.
        identity: what the training is, for the checkpoints.
        checkpoint_seconds: least time between two of them.
    """
    done = 0 if checkpoint is None else checkpoint.numbers["step"] // steps
    before = 0.0 if checkpoint is None else float(checkpoint.numbers["seconds"])
    trim_log(folder / LOG, epochs=done)
    with (
        (folder / LOG).open("a") as log,
        tqdm(total=epochs, initial=done, unit="epoch", disable=None, leave=False) as bar,
    ):
        now = time.monotonic()
        yield Journal(folder, log, bar, identity, checkpoint_seconds, before, now, now)


def trim_log(path: Path, *, epochs: int) -> None:
    """Drop the lines of epochs that the checkpoint has not seen; they will be run again."""
    there = path.exists() or path.is_symlink()
    lines = read_small(path).splitlines()[:epochs] if there else []
    write_whole(path, b"".join(line + b"\n" for line in lines))
