"""One tuning in many worker processes, which share what was tried."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.cluster.connect import open_cluster, stop_runs
from whence.cluster.worker import (
    ONE_AT_A_TIME,
    USERS,
    Task,
    check_shared,
    choose_device,
    describe_problem,
    load_once,
)
from whence.runs.tune import tune


def tune_together(
    task: Task,
    out: Path,
    seconds: float,
    *,
    scheduler: str | None,
    workers: int | None,
    device: str | None,
    say: Callable[[str], None],
) -> None:
    """Let every worker try trainings until the time is over.

    What a worker tried before it is killed counts, and another one goes on in its place.

    Args:
        task: the run that is tuned; its folder holds what was tried.
        out: a folder that all workers see, which gets the log of Dask if there is one.
        seconds: that each worker takes.
        scheduler: address of a Dask scheduler, or None.
        workers: processes to start here, or None.
        device: where each worker trains.
        say: takes a sentence on every worker whose place nobody could take.

    Raises:
        ModuleNotFoundError: if Dask's distributed, or Optuna, is not installed.
        ValueError: with the sentence of the first worker that could not go on.
        ConnectionError: if there is no scheduler or worker.
    """
    with open_cluster(out, scheduler=scheduler, workers=workers, device=device) as cluster:
        count = workers or len(cluster.find_workers())
        kind = None if device is None else device.partition(":")[0]  # workers see one GPU each
        sent = replace(task, device=kind, probe=cluster.probe, session=cluster.session)
        futures = [
            cluster.client.submit(
                tune_here, sent, seconds, number, pure=False, resources=dict(cluster.needs)
            )
            for number in range(count)
        ]
        try:
            problems = [find_problem(future, number, say) for number, future in enumerate(futures)]
        except BaseException:  # Ctrl-C too: workers would go on trying unseen; raised again
            stop_runs(cluster, futures, lambda sentence: None)
            raise
    for problem in problems:
        if problem is not None:
            raise ValueError(problem)


def find_problem(future: Any, number: int, say: Callable[[str], None]) -> str | None:
    """Wait for one worker's share of a tuning; returns what is wrong with its input."""
    try:
        problem: str | None = future.result()
    except Exception as error:  # whatever the worker raised, and Dask's own, which is optional
        if type(error).__name__ != "KilledWorker":
            raise
        say(f"Every worker that took part {number + 1} of the tuning was killed; it ended early.")
        return None
    return problem


def tune_here(task: Task, seconds: float, number: int) -> str | None:
    """Do one worker's share of a tuning; what is wrong with its input becomes a sentence."""
    with ONE_AT_A_TIME, contextlib.chdir(task.home):
        try:
            check_shared(task)
            dataset, _ = load_once(task)
            tune(
                task.settings,
                dataset,
                task.folder,
                seconds,
                device=choose_device(task.device),
                number=number,
            )
        except USERS as error:
            return describe_problem(error)
    return None
