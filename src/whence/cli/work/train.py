"""Train one run or many seeds and print what came out."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.checks.expectations import Expectations
from whence.cli.plain_text import escape, print_note
from whence.cli.work.class_text import compare_accuracies, describe_balance
from whence.cli.work.evaluate_text import to_measures
from whence.cli.work.folds import train_folds
from whence.cli.work.side_by_side import train_tasks
from whence.cli.work.tune import tune_first
from whence.cli.workers import raise_failed
from whence.cluster.worker import Task
from whence.models.about import DONE
from whence.models.load import load_to_answer
from whence.records.measures import KnownImages, Reliance
from whence.records.spread import find_spread
from whence.report.checked import describe_checks
from whence.report.dependence import say_dependence
from whence.report.known import say_known
from whence.runs.beside import say_beside
from whence.runs.check_run import check_run
from whence.runs.folder import check_folders
from whence.runs.images import load_data, load_to_train
from whence.runs.kept_features import FEATURES, remove_features
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.tune import place_features
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.training.choose_layers import ChosenLayers
from whence.training.distributed import Team, join

__all__ = ["train_folds", "train_joined", "train_side_by_side", "tune_first"]


def train_joined(
    settings: Settings,
    seeds: int,
    folder: Path,
    options: Namespace,
    device: str,
    *,
    where: Where,
    expected: Expectations | None = None,
) -> bool:
    """Join the other processes of this training, if there are any, and train.

    Returns:
        Whether all that is expected of the runs holds at their end.
    """
    with join(device) as team:
        return train_here(settings, seeds, folder, options, team, where=where, expected=expected)


def train_here(
    settings: Settings,
    seeds: int,
    folder: Path,
    options: Namespace,
    team: Team,
    *,
    where: Where = AS_SETTINGS_SAY,
    expected: Expectations | None = None,
) -> bool:
    """Train one seed after another, alone or as one process of several, and print what came out.

    Returns:
        Whether all that is expected of the runs holds at their end.
    """
    numbers = [settings.seed] if seeds == 1 else range(seeds)
    places = {seed: folder if seeds == 1 else folder / f"seed-{seed}" for seed in numbers}
    runs = {place: replace(settings, seed=seed) for seed, place in places.items()}
    team.lead(lambda: check_folders(folder, runs, resume=options.resume))
    finished = options.resume and all((place / DONE).exists() for place in runs)
    load = load_data if finished else load_to_train
    dataset = team.agree(lambda: load(settings, where))
    for note in dataset.notes if team.leads else ():
        print_note(note)
    results, features_folder = {}, choose_features_folder(folder, options)
    for place, chosen in runs.items():
        results[str(place)] = run(
            chosen,
            place,
            dataset,
            resume=options.resume,
            device=team.device,
            checkpoint_seconds=options.checkpoint_seconds,
            team=team,
            features_folder=features_folder,
            expected=expected,
        )
    if not team.leads:
        return True
    remove_features(features_folder)
    print(json.dumps(results) if options.json else describe_trained(results))
    if expected is None:
        return True
    found = [check_trained(place, expected, team.device, where) for place in runs]
    return all(found)


def choose_features_folder(folder: Path, options: Namespace) -> Path:
    """Choose where features of a frozen encoder are kept: where the tuning left them, if any."""
    return folder / FEATURES if options.tune is None else place_features(folder)


def check_trained(folder: Path, expected: Expectations, device: str, where: Where) -> bool:
    """Check a run that was just trained, and print to stderr what came of it."""
    checks = check_run(folder, load_to_answer(folder, device), expected, where=where)
    for line in describe_checks(checks):
        print(escape(line), file=sys.stderr)
    return checks.hold


def train_side_by_side(
    settings: Settings,
    seeds: int,
    folder: Path,
    options: Namespace,
    device: str | None,
    *,
    where: Where,
) -> None:
    """Train many seeds in worker processes and print what came out.

    Raises:
        ValueError: after the numbers of the others, if a run failed.
    """
    features_folder = choose_features_folder(folder, options)
    tasks = [
        Task(
            replace(settings, seed=seed),
            folder / f"seed-{seed}",
            Path.cwd(),
            checkpoint_seconds=options.checkpoint_seconds,
            where=where,
            features_folder=features_folder,
        )
        for seed in range(seeds)
    ]
    results = train_tasks(tasks, folder, options, device)
    if len(results) == len(tasks):
        remove_features(features_folder)
    if options.json or results:
        print(json.dumps(results) if options.json else describe_trained(results))
    failed = len(tasks) - len(results)
    raise_failed(failed, len(tasks), "the same command with --resume tries them again")


def describe_trained(results: dict[str, dict[str, Any]]) -> str:
    """Say in a few lines what was trained and how good it is."""
    lines = []
    for place, metrics in results.items():
        test = metrics["test"]
        line = f"{escape(place)}: {test['accuracy']:.2%} of {test['images']:,} test images right"
        if test["accuracy_draws"]:
            line += (
                f" with the whole memory, {test['accuracy_draws']['mean']:.2%} with random draws"
            )
        lines.append(f"{line} ({metrics['train_seconds']:.0f} s of training)")
        if "layers" in metrics:
            lines.append(f"  {escape(ChosenLayers(**metrics['layers']).describe())}")
        lines += [f"  {sentence}" for sentence in say_measured(test)]
        if "before" in metrics:
            lines += compare_accuracies(metrics["before"], test)
        if "no_threshold" in metrics:
            lines.append(f"  No threshold was set: {metrics['no_threshold']}")
    if len(results) > 1:
        found = find_spread(metrics["test"]["accuracy"] for metrics in results.values())
        if found is not None:
            lines.append(f"mean of {len(results)} runs: {found.mean:.2%} ± {found.std:.2%}")
    return "\n".join(lines)


def say_measured(test: Mapping[str, Any]) -> list[str]:
    """Say how good a run is for its classes, what it knew before, how far it needs its memory.

    Finished runs of before, which ``--resume`` passes over, do not say.
    """
    known, reliance, worst, beside, decision = (
        test.get(name) for name in ("known", "reliance", "worst_class", "beside", "decision")
    )
    found: list[str | None] = []
    if beside is not None:
        has_memory, decided = reliance is not None, decision is not None
        found.append(say_beside(test["accuracy"], beside, has_memory, decided=decided))
    if worst is not None:
        found.append(describe_balance(test["balanced_accuracy"], to_measures(worst)))
    if decision is not None:
        found += decision["sentences"]
    if known is not None:
        found.append(say_known(KnownImages(**known)))
    said = [sentence for sentence in found if sentence is not None]
    return said if reliance is None else [*said, *say_dependence(Reliance(**reliance))]
