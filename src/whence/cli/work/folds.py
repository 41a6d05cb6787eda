"""Train and test a fold after another, or side by side, and print one table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.bounds import BATCH_SIZE
from whence.cli.options import choose_device
from whence.cli.plain_text import escape, print_note
from whence.cli.work.folds_text import lay_out_folds, lay_out_seeds
from whence.cli.work.side_by_side import train_tasks
from whence.cli.work.tune import tune_first
from whence.cli.workers import raise_failed
from whence.cluster.worker import Task
from whence.data import DATASETS
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.records.images import Dataset
from whence.runs.best_layers import encode_for_run
from whence.runs.folder import check_folders
from whence.runs.folds import (
    describe_folds,
    divide_folds,
    summarise_folds,
    summarise_seeds,
    take_fold,
)
from whence.runs.images import load_pool
from whence.runs.kept_features import FEATURES, remove_features
from whence.runs.near_across import describe_near_folds
from whence.runs.rows_of_answers import lay_out_rows, write_rows
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.tune import place_features
from whence.runs.where import Where
from whence.storage.whole_files import write_json

FOLDS_FILE, OUT_OF_FOLD = "folds.json", "out_of_fold.csv"


@dataclass(frozen=True)
class FoldRun:
    """A training on all folds but one.

    Attributes:
        settings: with its seed and its fold.
        number: of the fold that it is tested on, from 1.
        folder: of the run.
    """

    settings: Settings
    number: int
    folder: Path


def train_folds(
    settings: Settings,
    folder: Path,
    options: Namespace,
    device: str | None,
    *,
    seeds: int,
    seconds: float | None,
    where: Where,
) -> None:
    """Train on all folds but one, test on that one, for each of them; once more for each seed.

    Leaves a run for each, and for each seed the answers to all images as ``out_of_fold.csv``, and
    what was measured as ``folds.json``.

    Args:
        settings: of the runs, but for their seed and fold.
        folder: that holds the runs, or with several seeds a folder of runs for each.
        options: of the command.
        device: where to train; None is the best that each worker has.
        seeds: cross-validations, each of which divides the images anew.
        seconds: in which each run is tuned first, on its own validation images; None does not.
        where: the images are, and may be downloaded to.
    """
    numbers = [settings.seed] if seeds == 1 else list(range(seeds))
    places = {seed: folder if seeds == 1 else folder / f"seed-{seed}" for seed in numbers}
    runs = [
        FoldRun(
            replace(settings, seed=seed, fold=f"{number}/{options.folds}"),
            number,
            place / f"fold-{number}",
        )
        for seed, place in places.items()
        for number in range(1, options.folds + 1)
    ]
    if seconds is None:  # else the tuning looks, and decides the settings
        planned = {one.folder: one.settings for one in runs}
        check_folders(folder, planned, resume=options.resume)
    pool = load_pool(settings, where)
    for note in describe_division(pool, settings, options.folds, numbers):
        print_note(note)
    if seconds is not None:
        runs = [tune_fold(one, pool, seconds, options, device, where) for one in runs]
    metrics = train_each(runs, pool, folder, options, device, where)
    answering = str(choose_device(options.device))
    summaries = {}
    for seed, place in places.items():
        own = [one for one in runs if one.settings.seed == seed]
        rows = [row for one in own for row in answer_fold(one, pool, folder / FEATURES, answering)]
        summaries[seed] = summarise_folds([metrics[str(one.folder)] for one in own])
        write_rows(place / OUT_OF_FOLD, rows)
        names = [str(one.folder) for one in own]
        write_json(place / FOLDS_FILE, {**summaries[seed], "runs": names})
    remove_features(folder / FEATURES)
    found = summaries[numbers[0]]
    if seeds > 1:
        found = summarise_seeds(summaries)
        write_json(folder / FOLDS_FILE, found)
    if options.json:
        print(json.dumps({**found, "runs": metrics}))
        return
    for seed, place in places.items():
        print("\n".join(lay_out_folds(summaries[seed])))
        print(f"Every answer is in {escape(str(place / OUT_OF_FOLD))}.")
    if seeds > 1:
        print("\n".join(lay_out_seeds(found)))


def describe_division(
    pool: Dataset, settings: Settings, folds: int, seeds: Sequence[int]
) -> list[str]:
    """Say how images are divided, and which look alike in two folds."""
    notes = [*pool.notes, *describe_folds(pool, folds, seeds[0])]
    if settings.data not in DATASETS:
        notes += describe_near_folds(pool.train, divide_folds(pool, folds, seeds[0]))
    if len(seeds) > 1:
        notes.append(f"Seeds 1 to {seeds[-1]} divide them anew.")
    return notes


def tune_fold(
    one: FoldRun,
    pool: Dataset,
    seconds: float,
    options: Namespace,
    device: str | None,
    where: Where,
) -> FoldRun:
    """Choose settings for a run on the validation images among those that it learns from."""
    dataset, _ = take_fold(pool, str(one.settings.fold), one.settings.seed)
    settings = tune_first(
        one.settings, seconds, one.folder, options, device, where=where, dataset=dataset
    )
    remove_features(place_features(one.folder))  # those of the pool are kept for all folds
    return replace(one, settings=settings)


def train_each(
    runs: Sequence[FoldRun],
    pool: Dataset,
    folder: Path,
    options: Namespace,
    device: str | None,
    where: Where,
) -> dict[str, dict[str, Any]]:
    """Train runs, here or in worker processes; returns what was measured, by folder.

    Raises:
        ValueError: if a run in a worker failed.
    """
    if options.workers is None and options.scheduler is None:
        return {str(one.folder): train_fold(one, pool, folder, options, device) for one in runs}
    tasks = [
        Task(
            one.settings,
            one.folder,
            Path.cwd(),
            checkpoint_seconds=options.checkpoint_seconds,
            where=where,
            features_folder=folder / FEATURES,
        )
        for one in runs
    ]
    found = train_tasks(tasks, folder, options, device)
    again = "the same command with --resume tries them again"
    raise_failed(len(tasks) - len(found), len(tasks), again)
    return found


def train_fold(
    one: FoldRun, pool: Dataset, folder: Path, options: Namespace, device: str | None
) -> dict[str, Any]:
    """Train a run in this process, and say how good it is."""
    dataset, pooled = take_fold(pool, str(one.settings.fold), one.settings.seed)
    metrics = run(
        one.settings,
        one.folder,
        dataset,
        resume=options.resume,
        device=str(device),
        checkpoint_seconds=options.checkpoint_seconds,
        features_folder=folder / FEATURES,
        pooled=pooled,
    )
    test = metrics["test"]
    right = f"{test['accuracy']:.2%} of {test['images']:,} images right"
    print_note(f"fold {one.settings.fold}: {right}.")
    return metrics


def answer_fold(one: FoldRun, pool: Dataset, features: Path, device: str) -> list[dict[str, Any]]:
    """Lay out the answers of a run to the images that it had not seen, one row an image."""
    dataset, pooled = take_fold(pool, str(one.settings.fold), one.settings.seed)
    model, known = load_to_answer(one.folder, device), None
    if one.settings.freeze_encoder:
        encoded = encode_for_run(model, one.settings, pool.train, features)
        known = model.head.embed(encoded[pooled.tested.to(encoded.device)])
    tested = dataset.test
    answers = predict(model, tested.images, batch_size=BATCH_SIZE, features=known)
    sources = tested.sources or [f"image {place}" for place in pooled.tested.tolist()]
    rows = lay_out_rows(answers, sources, model.class_names, labels=tested.labels.tolist())
    return [{"fold": one.number, **row} for row in rows]
