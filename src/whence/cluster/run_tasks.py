"""Many runs in worker processes, here or on other machines, by Dask's distributed scheduler.

A run is a task of Dask, which gives it to a free worker, and to another one when that is killed;
the run then goes on from its newest checkpoint. Only as many runs as there are workers are handed
over at a time: the death of a worker counts against its own run alone, and workers that come
later get their share.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from whence.cluster.check import Cluster, lost
from whence.cluster.connect import check_choice, open_cluster, stop_runs
from whence.cluster.progress import (
    Standing,
    describe,
    describe_result,
    estimate,
    show_progress,
)
from whence.cluster.worker import (
    Images,
    Outcome,
    Task,
    look_at_images,
    newest_step,
    work,
)
from whence.runs.settings import Settings

RETRIES = 3
"""Further attempts for a run after an error that is not of the user's."""

TICK, LOOK_SECONDS = 0.1, 1.0
"""Seconds between two looks at the runs, and at the list of workers."""

ALONE_SECONDS = 300.0
"""Without any worker for so long, the command ends."""


@dataclass(frozen=True)
class Flight:
    """A run that Dask has.

    Attributes:
        future: Dask's.
        started: when it was handed over.
        step: of the newest checkpoint at that time, 0 without one.
    """

    future: Any
    started: float
    step: int


def train_all(
    tasks: Sequence[Task],
    out: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    device: str | None = None,
    check: Callable[[Task, Images], None] = lambda task, images: None,
    clean: Callable[[str], str] = str,
) -> list[Outcome]:
    """Train runs in worker processes; progress, notes and results go to stderr.

    Args:
        tasks: the runs; device, probe and session are filled in here.
        out: the folder that holds them.
        scheduler: address of a Dask scheduler, or None.
        workers: processes to start here, or None.
        device: "cpu", "cuda" or "cuda:N", where each worker trains; None is the best it has.
        check: called once for every dataset before the first run; may refuse its images.
        clean: makes a sentence fit for the terminal.

    Returns:
        One outcome per task.

    Raises:
        ModuleNotFoundError: if Dask's distributed is not installed.
        ValueError: if an argument, a worker or the images do not fit.
        ConnectionError: if there is no scheduler or worker, or they are lost.
    """
    check_choice(scheduler, workers, device)
    if not tasks:
        return []
    if workers is not None:
        workers = min(workers, len(tasks))
    with (
        open_cluster(out, scheduler=scheduler, workers=workers, device=device) as cluster,
        show_progress(clean) as (show, say),
    ):
        kind = None if device is None else device.partition(":")[0]  # workers see one GPU each
        told = {"device": kind, "probe": cluster.probe, "session": cluster.session}
        # mypy takes every value for the type of all
        sent = [replace(task, **told) for task in tasks]  # type: ignore[arg-type]
        show(lambda: "workers are there; loading the images")
        for task in {kind_of_images(task): task for task in sent}.values():
            images = look(cluster, task)
            for note in images.notes:
                say(f"note: {note}")
            check(task, images)
        return run_all(cluster, sent, show=show, say=say)


def look(cluster: Cluster, task: Task) -> Images:
    """Let a worker load the images of a task before its first run.

    A download happens here, once, and images that are not in order, or do not fit the settings,
    are found before anything is written.

    Raises:
        ValueError: if they cannot be loaded, or this run could not start, with its sentence.
    """
    future = cluster.client.submit(
        look_at_images, task, pure=False, retries=RETRIES, resources=dict(cluster.needs)
    )
    try:
        found: Images | str = future.result()
    except BaseException:  # Ctrl-C too: a worker left behind would go on loading; raised again
        stop_runs(cluster, [future], lambda sentence: None)
        raise
    if isinstance(found, str):
        raise ValueError(found)
    return found


def kind_of_images(task: Task) -> Settings:
    """Return settings that are equal where the same images are loaded."""
    settings = task.settings
    return Settings(
        data=settings.data,
        data_root=settings.data_root,
        size=settings.size,
        encoder=settings.encoder,
    )


def run_all(
    cluster: Cluster,
    tasks: Sequence[Task],
    *,
    show: Callable[[Callable[[], str]], None],
    say: Callable[[str], None],
    retries: int = RETRIES,
) -> list[Outcome]:
    """Train every run, in the order given as far as workers are free.

    A run that fails does not stop the others. Interrupted, the workers stop, and every run can
    go on from its newest checkpoint.

    Args:
        cluster: the workers.
        tasks: the runs.
        show: takes what composes the line of progress, many times, and calls it when the line is
            to be seen.
        say: takes a sentence, once.
        retries: further attempts for a run after an error that is not of the user's.

    Returns:
        One outcome per task.

    Raises:
        ConnectionError: if the scheduler or all workers are lost.
    """
    kinds = number_kinds(tasks)
    waiting = list(range(len(tasks)))
    flights: dict[int, Flight] = {}
    outcomes: dict[int, Outcome] = {}
    workers, looked = len(cluster.find_workers()), time.monotonic()
    met = looked
    try:
        while waiting or flights:
            while waiting and len(flights) < workers:
                number = waiting.pop(0)
                flights[number] = launch(cluster, tasks[number], retries)
            show(partial(describe_all, kinds, waiting, flights, outcomes, workers))
            time.sleep(TICK)
            for number in [n for n, flight in flights.items() if flight.future.done()]:
                outcome = land(cluster, tasks[number], flights.pop(number))
                if outcome is None:
                    waiting.insert(0, number)
                else:
                    outcomes[number] = outcome
                    report(tasks[number], outcome, say)
            now = time.monotonic()
            if now - looked >= LOOK_SECONDS:
                workers, looked = len(cluster.find_workers()), now
                met = now if workers else met
            if now - met > ALONE_SECONDS:
                raise lost(cluster.address)
    except BaseException:  # Ctrl-C too: workers would go on training unseen; raised again
        stop_runs(cluster, [flight.future for flight in flights.values()], say)
        raise
    return [outcomes[number] for number in range(len(tasks))]


def launch(cluster: Cluster, task: Task, retries: int) -> Flight:
    """Hand a run to Dask."""
    future = cluster.client.submit(
        work,
        task,
        key=f"whence-run-{cluster.session}-{time.monotonic_ns()}",
        retries=retries,
        resources=dict(cluster.needs),
    )
    return Flight(future, time.monotonic(), newest_step(task.folder))


def land(cluster: Cluster, task: Task, flight: Flight) -> Outcome | None:
    """Read what came of a run; None if it got further, but its workers were killed too often.

    Raises:
        ConnectionError: if Dask no longer knows the run.
    """
    future = flight.future
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status != "error":
        raise lost(cluster.address)
    error, seconds = future.exception(), time.monotonic() - flight.started
    if type(error).__name__ != "KilledWorker":
        return Outcome(None, f"{type(error).__name__}: {' '.join(str(error).split())}", seconds)
    if newest_step(task.folder) > flight.step:
        return None  # it got further, so it will come to an end
    problem = (
        "Every worker that took it was killed before its next checkpoint; "
        "is there too little memory for it?"
    )
    return Outcome(None, problem, seconds)


def report(task: Task, outcome: Outcome, say: Callable[[str], None]) -> None:
    """Say what came of a run."""
    for line in outcome.said:
        say(f"{task.folder}: {line}")
    if outcome.metrics is None:
        say(f"{task.folder} failed: {outcome.problem}")
    else:
        went_on = f" (went on from step {outcome.step})" if outcome.step else ""
        say(describe_result(task.folder, outcome.metrics) + went_on)


def number_kinds(tasks: Sequence[Task]) -> list[int]:
    """Give each run a number that it shares with those of other seeds and folds."""
    numbers: dict[Settings, int] = {}
    alike = [replace(task.settings, seed=0, fold=None) for task in tasks]
    return [numbers.setdefault(settings, len(numbers)) for settings in alike]


def describe_all(
    kinds: Sequence[int],
    waiting: Sequence[int],
    flights: dict[int, Flight],
    outcomes: dict[int, Outcome],
    workers: int,
) -> str:
    """Write the line of progress."""
    durations: dict[int, list[float]] = defaultdict(list)
    failed = 0
    for number, outcome in outcomes.items():
        if outcome.metrics is None:
            failed += 1
        else:
            durations[kinds[number]].append(outcome.seconds)
    now = time.monotonic()
    running = [(kinds[number], now - flight.started) for number, flight in flights.items()]
    left = estimate(durations, running, [kinds[number] for number in waiting], workers)
    done = len(outcomes) - failed
    standing = Standing(done, failed, len(flights), len(waiting), workers, left)
    return describe(standing, datetime.now())
