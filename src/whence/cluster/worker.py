"""What a worker process of a cluster does: look at the images, and train one run at a time.

Nothing here knows Dask; the other side is ``whence.cluster.run_tasks``.
"""

import contextlib
import errno
import io
import logging
import math
import os
import platform
import signal
import threading
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout

from whence.freed_memory import keep_freed_memory
from whence.models.about import DONE
from whence.records.images import Dataset
from whence.runs.folds import Pooled, take_fold
from whence.runs.images import key_of_images, load_pool, load_to_train
from whence.runs.run import run, start
from whence.runs.settings import CHECKPOINT_SECONDS, Settings
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.storage.checkpoint import find_checkpoints
from whence.storage.lock import LOCK
from whence.training.distributed import Team

LOCK_SECONDS = 5.0
"""Between two looks at a run that another process is writing."""

PATIENCE = 3600.0
"""Seconds without a new file in such a run after which it is given up."""

LOG_VARIABLE = "WHENCE_CLUSTER_LOG"
"""Names the file that a local worker writes Dask's warnings to."""

USERS = (ValueError, OSError, ModuleNotFoundError)
"""Errors that may be the user's; ``describe_problem`` tells."""

ONE_AT_A_TIME = threading.Lock()
"""A training owns the process: its random state, its working folder, its threads."""

LOADED: dict[tuple[object, ...], Dataset] = {}
"""The images loaded last, not divided into folds; several runs of the same data load them once."""


@dataclass(frozen=True)
class Task:
    """One run, as plain data that can be sent to another machine.

    Attributes:
        settings: everything that makes the run.
        folder: of the run, absolute, seen by every worker.
        home: the folder that the relative names in the settings start from, absolute.
        device: where to train; None is the worker's GPU if it has one, else its CPU.
        checkpoint_seconds: least time between two checkpoints.
        where: the images are, and may be downloaded to.
        features_folder: where the features of a frozen encoder are kept, absolute; None keeps them
            in the run folder until the run is done.
        probe: a file that the command wrote beside the runs; it holds the session.
        session: of the command that asks; images are loaded anew for the next one.
    """

    settings: Settings
    folder: Path
    home: Path
    device: str | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    where: Where = AS_SETTINGS_SAY
    features_folder: Path | None = None
    probe: Path | None = None
    session: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a task: numbers, or a sentence on what was wrong.

    Attributes:
        metrics: the content of ``metrics.json``; None if the run failed.
        problem: one sentence; None if it did not.
        seconds: that the run took, over all its attempts where that is known.
        said: lines that the training wrote to stderr, such as warnings.
        step: of the newest checkpoint when the last attempt began, 0 without one.
    """

    metrics: dict[str, Any] | None
    problem: str | None
    seconds: float
    said: tuple[str, ...] = ()
    step: int = 0


@dataclass(frozen=True)
class Images:
    """What there is to know of a dataset before the first run: sizes, and sentences on it."""

    classes: int
    channels: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """What a worker answers when it is asked who it is and what it sees."""

    name: str
    version: str
    token: str | None
    has_home: bool


def describe_machine(probe: Path, home: Path) -> Machine:
    """Say what this machine is, what a file that the other side wrote holds, if it is there."""
    return Machine(platform.node(), version("whence"), read_probe(probe), home.is_dir())


def look_at_images(task: Task) -> Images | str:
    """Load the images of a task, which stay loaded, and see that its run could start with them.

    A sentence if that is not possible.
    """
    with ONE_AT_A_TIME, contextlib.chdir(task.home):
        try:
            dataset, _ = load_once(task)
            if not (task.folder / DONE).exists():
                start(task.settings, dataset, choose_device(task.device), Team())
        except USERS as error:
            return describe_problem(error)
    return Images(len(dataset.train.class_names), dataset.train.images.shape[1], dataset.notes)


def work(task: Task) -> Outcome:
    """Train a run, or go on with it; what is wrong with its input becomes a sentence.

    Raises:
        Exception: whatever is no error of the user's; the scheduler tries such a task again.
    """
    keep_freed_memory()
    heard, started = io.StringIO(), time.monotonic()  # stderr is not a terminal: no bar is drawn
    with ONE_AT_A_TIME, contextlib.chdir(task.home), contextlib.redirect_stderr(heard):
        metrics, problem, step = None, None, newest_step(task.folder)
        try:
            check_shared(task)
            dataset, pooled = load_once(task)
            metrics = run_when_free(task, dataset, choose_device(task.device), pooled=pooled)
        except USERS as error:
            problem = describe_problem(error)
        finally:
            torch.cuda.empty_cache()  # other processes may share the GPU; without one, nothing
    seconds = time.monotonic() - started
    if metrics is not None:
        seconds = max(seconds, float(metrics["train_seconds"]))
    return Outcome(metrics, problem, seconds, tuple(heard.getvalue().splitlines()), step)


def describe_problem(error: Exception) -> str:
    """Word an error that another attempt would meet again; any other is raised again."""
    if isinstance(error, (ValueError, FileNotFoundError, FileExistsError, PermissionError)):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name is None:  # an optional package
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space left on the disk of {error.filename or 'the run folder'}."
    raise error


def check_shared(task: Task) -> None:
    """Refuse to train where the command would not find the run.

    Raises:
        ValueError: if this machine does not see the file that the command wrote.
    """
    if task.probe is not None and read_probe(task.probe) != task.session:
        raise ValueError(
            f"The worker on {platform.node()} does not see {task.probe.parent} as this machine "
            "does; put --out on a file system that all workers share."
        )


def read_probe(probe: Path) -> str | None:
    """Read the file that a command wrote for its workers, None if it is not to be seen here."""
    return probe.read_text() if probe.is_file() else None


def load_once(task: Task) -> tuple[Dataset, Pooled | None]:
    """Load the images of a task unless they are those loaded last; called in its home.

    Returns:
        Those of the run, and where it tests a fold, all that are divided.
    """
    settings, fold = task.settings, task.settings.fold
    whole = replace(settings, fold=None)
    key = (task.session, task.home, fold is None, *key_of_images(whole))
    if key not in LOADED:
        LOADED.clear()  # frees the images before
        load = load_to_train if fold is None else load_pool
        LOADED[key] = load(whole, task.where)
    return (LOADED[key], None) if fold is None else take_fold(LOADED[key], fold, settings.seed)


def choose_device(device: str | None) -> str:
    """Take the device that was asked for, or the best there is on this machine.

    Raises:
        ValueError: if a GPU is asked for and there is none.
    """
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not torch.cuda.is_available():
        raise ValueError(
            f"device {device} needs a GPU, the worker on {platform.node()} sees none; "
            "start it where there is one, or leave --device out."
        )
    return device


def run_when_free(
    task: Task, dataset: Dataset, device: str, *, pooled: Pooled | None = None
) -> dict[str, Any]:
    """Call ``run``; while another process writes to the run, wait, and take over when it ends.

    A worker that was cut off from the scheduler may train on while another got its task. The lock
    of the run folder lets one of them write; whoever comes after it finds the run done, or goes on
    from its newest checkpoint.
    """
    seen, since = newest_change(task.folder), time.monotonic()
    while True:
        try:
            return run(
                task.settings,
                task.folder,
                dataset,
                resume=True,
                device=device,
                checkpoint_seconds=task.checkpoint_seconds,
                line_seconds=math.inf,  # the command tells how far all runs are
                features_folder=task.features_folder,
                pooled=pooled,
            )
        except FileExistsError as error:
            if not isinstance(error.__cause__, Timeout):  # not the lock: another run is there
                raise
            latest, now = newest_change(task.folder), time.monotonic()
            if latest != seen:
                seen, since = latest, now
            elif now - since >= PATIENCE:
                raise
        time.sleep(LOCK_SECONDS)


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint in a run folder, 0 without one."""
    return max(find_checkpoints(folder), default=0) if folder.is_dir() else 0


def newest_change(folder: Path) -> int:
    """Return when a file of a run changed last, in nanoseconds; 0 without any."""
    changes = [0]
    for path in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed
            if path.name != LOCK:
                changes.append(path.stat().st_mtime_ns)
    return max(changes)


def ignore_interrupt() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the process that waits for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class FileLog(logging.Handler):
    """Appends records to a file, which comes to be with the first of them.

    No ``StreamHandler``, because Dask silences those.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self.format(record) + "\n")


def dask_setup(worker: object) -> None:
    """Prepare a local worker process; Dask calls this name in a module that it preloads."""
    ignore_interrupt()
    logger = logging.getLogger("distributed")
    logger.handlers, logger.propagate = [FileLog(Path(os.environ[LOG_VARIABLE]))], False
    logger.setLevel(logging.WARNING)
