"""From the finished runs of a cell to one row: ours beside the paper's. Trains nothing."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from whence.experiments.cell import Paper
from whence.experiments.run import METRICS, check_folder
from whence.experiments.settings import Settings
from whence.prediction.files import read_json
from whence.prediction.saved import DONE, read_about

FINGERPRINTS = ("train_fingerprint", "test_fingerprint")


@dataclass(frozen=True)
class Result:
    """What one finished run measured on the test images, as fractions.

    Attributes:
        seed: of the run.
        folder: of the run.
        whole_memory: accuracy with the whole memory; for a standard model its plain accuracy.
        draws: mean accuracy over the passes of the paper's protocol; None for a standard model.
        fingerprint: of the training and test images.
    """

    seed: int
    folder: Path
    whole_memory: float
    draws: float | None
    fingerprint: str

    @property
    def accuracy(self) -> float:
        """The number that the paper's tables average."""
        return self.whole_memory if self.draws is None else self.draws


@dataclass(frozen=True)
class Summary:
    """One row of a table; fractions, not percent.

    Deviations are population deviations over the seeds, as the paper's, and None under two seeds;
    everything but the paper's numbers is None without a finished run.

    Attributes:
        results: of the finished runs, by seed.
        mean, std: accuracy by the paper's protocol.
        whole_mean, whole_std: accuracy with the whole memory; None for a standard model.
        paper_mean, paper_std: as published.
        difference: ours minus the paper's.
    """

    results: tuple[Result, ...]
    mean: float | None
    std: float | None
    whole_mean: float | None
    whole_std: float | None
    paper_mean: float
    paper_std: float
    difference: float | None


def name_run(seed: int) -> str:
    """Name the folder of one run in the folder of its cell."""
    return f"seed-{seed}"


def read_results(folder: Path, settings: Settings, seeds: int) -> tuple[Result, ...]:
    """Read the finished runs of a cell, those of seeds 0 to ``seeds - 1``.

    Args:
        folder: of the cell's runs; need not be there.
        settings: that the runs must have been made with.
        seeds: how many are looked for.

    Raises:
        FileExistsError: if a run there was started with other settings.
        ValueError: if a run is damaged, or the runs were made with different images.
    """
    results = []
    for seed in range(seeds):
        run = folder / name_run(seed)
        check_folder(run, replace(settings, seed=seed), resume=True)
        if (run / DONE).exists():
            results.append(read_result(run, seed))
    for result in results:
        if result.fingerprint != results[0].fingerprint:
            raise ValueError(
                f"{result.folder} must have been made with the images of {results[0].folder}, "
                "they changed in between; choose another --out."
            )
    return tuple(results)


def read_result(folder: Path, seed: int) -> Result:
    """Read what one finished run measured."""
    identity, metrics = read_about(folder).get("run"), read_json(folder / METRICS)
    try:
        test = metrics["test"]
        draws = test["accuracy_draws"]
        return Result(
            seed=seed,
            folder=folder,
            whole_memory=float(test["accuracy"]),
            draws=None if draws is None else float(draws["mean"]),
            fingerprint=" ".join(str(identity[name]) for name in FINGERPRINTS),  # type: ignore[index]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder} must hold the accuracies of a finished run, it is damaged ({error!r}); "
            "move it away and run it again."
        ) from error


def summarise(paper: Paper, results: Sequence[Result]) -> Summary:
    """Average runs and set them beside the published number."""
    mean, std = average([result.accuracy for result in results])
    has_memory = any(result.draws is not None for result in results)
    whole = average([result.whole_memory for result in results] if has_memory else [])
    return Summary(
        results=tuple(results),
        mean=mean,
        std=std,
        whole_mean=whole[0],
        whole_std=whole[1],
        paper_mean=paper.accuracy,
        paper_std=paper.accuracy_std,
        difference=None if mean is None else mean - paper.accuracy,
    )


def average(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Compute mean and population deviation; None where there are too few values.

    >>> average([0.25, 0.75])
    (0.5, 0.25)
    >>> average([0.25])
    (0.25, None)
    """
    if not values:
        return None, None
    return statistics.fmean(values), statistics.pstdev(values) if len(values) > 1 else None
