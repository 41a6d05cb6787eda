"""From the finished runs of a cell to one row: ours beside the paper's. Trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from whence.messages import quote
from whence.models.about import DONE, read_about
from whence.records.spread import find_spread
from whence.runs.folder import METRICS, check_folder
from whence.runs.settings import Settings
from whence.storage.plain_files import read_json
from whence.tables.cell import ACCURACY, Number

FINGERPRINTS = ("train_fingerprint", "test_fingerprint")


@dataclass(frozen=True)
class Result:
    """What one finished run measured on the test images, as fractions.

    A counterfactual accuracy is None where no image has a counterfactual on top.

    Attributes:
        seed: of the run.
        folder: of the run.
        whole_memory: with the whole memory; for a standard model its plain accuracy.
        draws: mean over the passes of the paper's protocol; None for a standard model.
        fingerprint: of the training and test images.
        measure: "accuracy", "explanation_accuracy" or "counterfactual_accuracy".
        measured: False if the run was finished by a version that did not know the measure.
    """

    seed: int
    folder: Path
    whole_memory: float | None
    draws: float | None
    fingerprint: str
    measure: str = ACCURACY
    measured: bool = True

    @property
    def value(self) -> float | None:
        """The number that the paper's tables average."""
        plain = self.draws is None and self.measure == ACCURACY
        return self.whole_memory if plain else self.draws


@dataclass(frozen=True)
class Summary:
    """One row of a table; fractions, not percent.

    Deviations are population deviations over the seeds, as the paper's, and None under two seeds;
    everything but the paper's numbers is None without a finished run that has a value.

    Attributes:
        results: of the finished runs, by seed.
        mean, std: by the paper's protocol.
        whole_mean, whole_std: with the whole memory; None for a standard model.
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


def read_results(
    folder: Path, settings: Settings, seeds: int, *, measure: str = ACCURACY
) -> tuple[Result, ...]:
    """Read the finished runs of a cell, those of seeds 0 to ``seeds - 1``.

    Args:
        folder: of the cell's runs; need not be there.
        settings: that the runs must have been made with.
        seeds: how many are looked for.
        measure: what is read of them, a key of "test" in ``metrics.json``.

    Raises:
        FileExistsError: if a run there was started with other settings.
        ValueError: if a run is damaged, or the runs were made with different images.
    """
    results = []
    for seed in range(seeds):
        run = folder / name_run(seed)
        check_folder(run, replace(settings, seed=seed), resume=True)
        if (run / DONE).exists():
            results.append(read_result(run, seed, measure))
    for result in results:
        if result.fingerprint != results[0].fingerprint:
            raise ValueError(
                f"{result.folder} must have been made with the images of {results[0].folder}, "
                "they changed in between; choose another --out."
            )
    return tuple(results)


def read_result(folder: Path, seed: int, measure: str) -> Result:
    """Read what one finished run measured.

    Runs of the first version of whence have accuracies only; theirs is not an error.

    Raises:
        ValueError: if the run is damaged.
    """
    identity, metrics = read_about(folder)["run"], read_json(folder / METRICS)
    try:
        test = metrics["test"]
        measured = measure == ACCURACY or measure in test
        whole: Any = test[measure] if measured else None
        draws = test[f"{measure}_draws"] if measured else None
        return Result(
            seed=seed,
            folder=folder,
            whole_memory=float(whole) if whole is not None or measure == ACCURACY else None,
            draws=None if draws is None else float(draws["mean"]),
            fingerprint=" ".join(str(identity[name]) for name in FINGERPRINTS),
            measure=measure,
            measured=measured,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder} must hold the accuracies of a finished run, it is damaged ({quote(error)}); "
            "move it away and run it again."
        ) from error


def summarise(number: Number, results: Sequence[Result]) -> Summary:
    """Average runs and set them beside the published number; runs without a value do not count."""
    mean, std = spread_of_runs([result.value for result in results])
    whole = spread_of_runs([result.whole_memory for result in results if result.draws is not None])
    return Summary(
        results=tuple(results),
        mean=mean,
        std=std,
        whole_mean=whole[0],
        whole_std=whole[1],
        paper_mean=number.mean,
        paper_std=number.std,
        difference=None if mean is None else mean - number.mean,
    )


def spread_of_runs(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Compute mean and population deviation of what is there; None where that is too little.

    >>> spread_of_runs([0.25, 0.75])
    (0.5, 0.25)
    >>> spread_of_runs([0.25])
    (0.25, None)
    """
    there = [value for value in values if value is not None]
    found = find_spread(there)
    if found is None:
        return None, None
    return found.mean, found.std if len(there) > 1 else None
