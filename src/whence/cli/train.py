"""``whence train``: train on a dataset, an image folder or a settings file."""

import argparse
import json
import os
import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from whence.cli.options import add_training, build_parser, choose_device, given, parse
from whence.cli.plain_text import escape, print_note
from whence.cli.workers import add_workers, choose_worker_device, raise_failed
from whence.compat.train_yaml import MODALITIES, read_authors_yaml
from whence.encoders import check_encoder
from whence.runs.parse import add_setting, from_mapping
from whence.runs.settings import FIELDS, Settings, read_toml

if TYPE_CHECKING:
    from whence.training.distributed import Team

OURS, AUTHORS = (".toml",), (".yaml", ".yml")


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "train",
        "Train a classifier that shows its evidence, and leave a run folder. DATA is a dataset's "
        "name, an image folder (train/CLASS/*, test/CLASS/*, or CLASS/* which is split), or a "
        "settings file: TOML, or the train.yaml of the paper's code. Options override the file.",
    )
    parser.add_argument("data", type=str, metavar="DATA", help="dataset, image folder or settings")
    parser.add_argument("--out", type=str, help="run folder; by default runs/ and the data's name")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --out; finished ones stay"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="train N runs, seeds 0 to N-1")
    add_workers(parser)
    parser.add_argument(
        "--modality",
        type=str,
        metavar="CHOICE",
        help="the paper's code: std, memory, encoder_memory",
    )
    parser.add_argument(
        "--continue-train",
        type=bool,
        nargs="?",
        const=True,
        metavar="BOOL",
        help="the paper's code: the same as --resume",
    )
    parser.add_argument("--log-interval", type=int, help=argparse.SUPPRESS)
    add_training(parser)
    group = parser.add_argument_group("settings, also the keys of a settings file")
    for name, setting in FIELDS.items():
        if name != "data":
            add_setting(group.add_argument, setting)
    return parser


def train(arguments: list[str]) -> None:
    """Train one run or many seeds and print what came out."""
    options = parse(build(), arguments)
    settings, seeds = read_settings(options.data, given(options), options.modality)
    if options.seeds is not None and options.seed is not None:
        raise ValueError("seeds numbers the runs from 0, give either --seeds or --seed.")
    if options.seed is not None:
        seeds = 1
    elif seeds > 1 and settings.seed != 0:
        raise ValueError(f"{options.data} must have either seeds or a seed, it has both.")
    elif options.seeds is not None:
        seeds = options.seeds
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}.")
    if settings.encoder is not None:
        check_encoder(settings.encoder)  # here, before the images are read
    folder = Path(options.out or Path("runs") / Path(settings.data).resolve().name)
    if options.workers is not None or options.scheduler is not None:
        train_side_by_side(settings, seeds, folder, options)
        return
    device = choose_device(options.device)
    from whence.training.distributed import join  # late: it loads torch

    with join(device) as team:
        train_here(settings, seeds, folder, options, team)


def train_here(
    settings: Settings, seeds: int, folder: Path, options: Namespace, team: "Team"
) -> None:
    """Train one seed after another, alone or as one process of several, and print what came out."""
    from whence.runs.prepare import load_data  # late: they load torch
    from whence.runs.run import run

    dataset = team.agree(lambda: load_data(settings))
    for note in dataset.notes if team.leads else ():
        print_note(note)
    results = {}
    for seed in [settings.seed] if seeds == 1 else range(seeds):
        place = folder if seeds == 1 else folder / f"seed-{seed}"
        results[str(place)] = run(
            replace(settings, seed=seed),
            place,
            dataset,
            resume=options.resume or bool(options.continue_train),
            device=team.device,
            checkpoint_seconds=options.checkpoint_seconds,
            team=team,
        )
    if team.leads:
        print(json.dumps(results) if options.json else describe(results))


def train_side_by_side(settings: Settings, seeds: int, folder: Path, options: Namespace) -> None:
    """Train many seeds in worker processes and print what came out.

    Raises:
        ValueError: if there is one seed only, or after the numbers of the others if a run failed.
    """
    if seeds == 1:
        raise ValueError("workers and scheduler are for several runs; add --seeds N.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # set by torchrun
        raise ValueError(
            "workers and scheduler train many runs side by side, torchrun one run over several "
            "processes; leave one of them out."
        )
    from whence.cluster.run_tasks import train_all  # late: they load torch
    from whence.cluster.worker import Task
    from whence.runs.run import check_folder

    tasks = [
        Task(
            replace(settings, seed=seed),
            folder / f"seed-{seed}",
            Path.cwd(),
            checkpoint_seconds=options.checkpoint_seconds,
        )
        for seed in range(seeds)
    ]
    for task in tasks:
        resume = options.resume or bool(options.continue_train)
        check_folder(task.folder, task.settings, resume=resume)
    outcomes = train_all(
        tasks,
        folder,
        scheduler=options.scheduler,
        workers=options.workers,
        device=choose_worker_device(options),
        clean=escape,
    )
    results = {
        str(task.folder): outcome.metrics
        for task, outcome in zip(tasks, outcomes, strict=True)
        if outcome.metrics is not None
    }
    if options.json or results:
        print(json.dumps(results) if options.json else describe(results))
    failed = len(tasks) - len(results)
    raise_failed(failed, len(tasks), "the same command with --resume tries them again")


def read_settings(data: str, options: dict[str, Any], modality: str | None) -> tuple[Settings, int]:
    """Combine a settings file, if DATA is one, with the options given.

    Returns:
        Settings, and how many seeds the file asks for.
    """
    path, seeds = Path(data), 1
    values: dict[str, Any] = {"data": data}
    if path.suffix in OURS + AUTHORS and not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(f"No settings file {path}.")
        if path.suffix in AUTHORS:
            values, seeds = read_authors_yaml(path)
        else:
            values = read_toml(path)
            seeds = values.pop("seeds", 1)
            if type(seeds) is not int:
                raise ValueError(f"{path} must have seeds as a whole number, got {seeds!r}.")
            values.pop("paper", None)
            values = unpack_cell(path, values)
        where = str(path)
    else:
        where = "the command line"
    values |= {name: value for name, value in options.items() if name in FIELDS and name != "data"}
    if modality is not None:
        if modality not in MODALITIES:
            raise ValueError(
                f"Unknown modality {modality!r}. Choose from: {', '.join(MODALITIES)}."
            )
        values["variant"] = MODALITIES[modality]
    return from_mapping(values, where=where), seeds


def unpack_cell(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of a table cell's file; other files hold them at the top.

    Raises:
        ValueError: if there is anything beside the block of settings.
    """
    if "settings" not in values:
        return values
    inner = values.pop("settings")
    if values:
        raise ValueError(
            f"{path} has an unknown setting {next(iter(values))!r} beside its [settings]; "
            "move it there or remove it."
        )
    if not isinstance(inner, dict):
        raise ValueError(f"{path} must have settings as a table, got {inner!r}.")
    return inner


def describe(results: dict[str, dict[str, Any]]) -> str:
    """Say in a few lines what was trained and how good it is."""
    lines = []
    for place, metrics in results.items():
        test = metrics["test"]
        line = f"{escape(place)}: {test['accuracy']:.2%} of {test['images']} test images right"
        if test["accuracy_draws"]:
            line += (
                f" with the whole memory, {test['accuracy_draws']['mean']:.2%} with random draws"
            )
        lines.append(f"{line} ({metrics['train_seconds']:.0f} s of training)")
    if len(results) > 1:
        values = [metrics["test"]["accuracy"] for metrics in results.values()]
        spread = statistics.pstdev(values)
        lines.append(f"mean of {len(values)} runs: {statistics.fmean(values):.2%} ± {spread:.2%}")
    return "\n".join(lines)
