"""The runs behind a published table: one job per cell, one run folder per seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from whence.cluster.progress import describe_result
from whence.records.images import Dataset
from whence.runs.images import load_to_train
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.where import may_download_to
from whence.tables.cell import ACCURACY, Cell
from whence.tables.summary import Summary, name_run, read_results, summarise

CLASSES, CHANNELS = 10, 3
"""What the images of the paper's three datasets have."""


@dataclass(frozen=True)
class Job:
    """The runs of one cell.

    Attributes:
        cell: with the published number.
        settings: that the runs are made with, the cell's or changed ones.
        folder: holds ``seed-0``, ``seed-1`` and so on.
        seeds: how many runs are asked for.
        measure: what the table shows of them.
    """

    cell: Cell
    settings: Settings
    folder: Path
    seeds: int
    measure: str = ACCURACY

    def summarise(self) -> Summary:
        """Summarise the finished runs.

        Raises:
            ValueError: if the cell has no published number of the measure, or a run is damaged.
            FileExistsError: if a run was started with other settings.
        """
        number = self.cell.paper.find(self.measure)
        if number is None:
            raise ValueError(f"The cell {self.cell.name} must have a published {self.measure}.")
        runs = read_results(self.folder, self.settings, self.seeds, measure=self.measure)
        return summarise(number, runs)

    def find_missing(self, summary: Summary) -> list[int]:
        """List the seeds that have no finished run in a summary."""
        done = {result.seed for result in summary.results}
        return [seed for seed in range(self.seeds) if seed not in done]


def train_missing(jobs: Sequence[Job], *, device: str, say: Callable[[str], None]) -> None:
    """Train every run that is not finished, or go on with it; each dataset is loaded once.

    Args:
        jobs: those of one dataset stand together.
        device: where to train.
        say: called with a sentence on each finished run, and with the notes on the images.

    Raises:
        FileExistsError: if a run folder holds something else.
        ValueError: if the settings and the images do not go together.
    """
    loaded: tuple[str, Dataset] | None = None
    for job in jobs:
        for seed in job.find_missing(job.summarise()):
            if loaded is None or loaded[0] != job.settings.data:
                loaded = None  # frees the images of the dataset before
                loaded = job.settings.data, load_images(job, say=say)
            settings, folder = replace(job.settings, seed=seed), job.folder / name_run(seed)
            metrics = run(settings, folder, loaded[1], resume=True, device=device)
            say(describe_result(folder, metrics))


def train_missing_side_by_side(
    jobs: Sequence[Job],
    out: Path,
    *,
    scheduler: str | None,
    workers: int | None,
    device: str | None,
    clean: Callable[[str], str],
) -> tuple[int, int]:
    """Train every run that is not finished in worker processes, here or on other machines.

    Args:
        jobs: the runs of a table, finished ones too.
        out: the folder that holds all their runs.
        scheduler: address of a Dask scheduler; None starts workers on this machine.
        workers: how many of these; None where a scheduler is given.
        device: "cpu", "cuda" or "cuda:N", where each worker trains; None is the best it has.
        clean: makes a sentence fit for the terminal before it is printed.

    Returns:
        How many runs failed, and how many there were to do.

    Raises:
        ModuleNotFoundError: if Dask's distributed is not installed.
        FileExistsError: if a run folder holds something else.
        ValueError: if an argument, a worker or the images do not fit.
        ConnectionError: if there is no scheduler or worker, or they are lost.
    """
    from whence.cluster.run_tasks import train_all  # late: needs an optional package
    from whence.cluster.worker import Images, Task

    planned = {
        job.folder / name_run(seed): (job, replace(job.settings, seed=seed))
        for job in jobs
        for seed in job.find_missing(job.summarise())
    }
    tasks = [
        Task(settings, folder, Path.cwd(), where=may_download_to(settings.data_root))
        for folder, (_, settings) in planned.items()
    ]

    def check(task: Task, images: Images) -> None:
        check_images(planned[task.folder][0], images.classes, images.channels)

    outcomes = train_all(
        tasks,
        out,
        scheduler=scheduler,
        workers=workers,
        device=device,
        check=check,
        clean=clean,
    )
    return sum(outcome.metrics is None for outcome in outcomes), len(outcomes)


def load_images(job: Job, *, say: Callable[[str], None]) -> Dataset:
    """Load the images of a job, and check that images of the user's can stand in for the paper's.

    Raises:
        ValueError: if they have another number of classes or channels.
    """
    dataset = load_to_train(job.settings, may_download_to(job.settings.data_root))
    for note in dataset.notes:
        say(f"note: {note}")
    check_images(job, len(dataset.train.class_names), dataset.train.images.shape[1])
    return dataset


def check_images(job: Job, classes: int, channels: int) -> None:
    """Refuse images of the user's that cannot stand in for the paper's."""
    replaced = job.settings.data != job.cell.settings.data
    if replaced and (classes, channels) != (CLASSES, CHANNELS):
        raise ValueError(
            f"data must have {CLASSES} classes and {CHANNELS} channels like "
            f"{job.cell.settings.data}, got {classes} and {channels} in {job.settings.data}."
        )
