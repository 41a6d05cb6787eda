"""``whence table``: run the cells of one of the paper's tables, ours beside the published numbers."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace

from whence.cli.options import add_device, build_parser, choose_device, given, parse
from whence.experiments.cell import FULL, Cell
from whence.experiments.paper_tables import (
    FILTERS,
    MEMORY_SIZE,
    TABLES,
    adapt,
    find_deviations,
    name_table,
    read_cells,
    select,
)
from whence.experiments.parameter_counts import PARAMETER_TABLE, PARAMETERS, count_parameters
from whence.experiments.prepare import load_data
from whence.experiments.run import run
from whence.experiments.settings import Settings
from whence.experiments.summary import Summary, name_run, read_results, summarise
from whence.records import Dataset

OUT = "runs/tables"
NUMBERS = tuple(sorted([*TABLES, PARAMETER_TABLE]))
COLOURS, CLASSES = 3, 10
STOPPED = "Stopped; the same command goes on from the newest checkpoint."


@dataclass(frozen=True)
class Job:
    """The runs of one cell: ``folder/seed-0`` and so on."""

    cell: Cell
    settings: Settings
    folder: Path
    seeds: int

    def summarise(self) -> Summary:
        """Summarise the finished runs."""
        return summarise(self.cell.paper, read_results(self.folder, self.settings, self.seeds))


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "table",
        "Run the cells of a table of the Memory Wrap paper that are not done yet, one run folder "
        "per seed, and print ours beside the published numbers. Stopped at any moment, the same "
        "command goes on. Table 11 counts parameters and trains nothing.",
    )
    parser.add_argument("table", type=str, metavar="N", help=", ".join(map(str, NUMBERS)))
    parser.add_argument("--dataset", type=str, metavar="D", help="only its cells: svhn, ...")
    parser.add_argument("--encoder", type=str, metavar="NAME", help="only its cells")
    parser.add_argument("--variant", type=str, metavar="V", help="only its cells")
    parser.add_argument(
        "--train-examples", type=str, metavar="K", help=f"only cells of K images, or {FULL!r}"
    )
    parser.add_argument("--memory-size", type=str, metavar="M", help="only its cells")
    parser.add_argument("--seeds", type=int, metavar="S", help="seeds 0 to S-1; the paper's number")
    parser.add_argument("--out", type=str, help=f"folder of all tables' runs (default {OUT})")
    parser.add_argument(
        "--data", type=str, help="other images in place of the cells' dataset, such as a folder"
    )
    parser.add_argument("--data-root", type=str, help="folder that holds downloaded datasets")
    parser.add_argument("--epochs", type=int, metavar="N", help="not the paper's; for a trial")
    parser.add_argument(
        "--precision",
        type=Literal["auto", "float32", "bfloat16"],
        metavar="CHOICE",
        help="auto, float32 or bfloat16; the cells have float32",
    )
    parser.add_argument(
        "--keep-model",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep the trained models, not their numbers alone",
    )
    parser.add_argument(
        "--list", action="store_true", help="print what is done and what is missing, train nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser)
    return parser


def table(arguments: list[str]) -> None:
    """Run what is missing of a table and print it."""
    options = parse(build(), arguments)
    number = read_number(options.table)
    if number == PARAMETER_TABLE:
        show_parameters(options)
        return
    device = choose_device(options.device)
    jobs = plan_jobs(number, options)
    for job in jobs:
        job.summarise()  # refuses folders that hold something else before the first training
    if not options.list:
        try:
            train_missing(jobs, device)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(STOPPED) from stop
    rows = [(job, job.summarise()) for job in jobs]
    if options.json:
        cells = [to_json(job, summary) for job, summary in rows]
        print(json.dumps({"table": number, "title": TABLES[number], "cells": cells}, indent=1))
    else:
        print(describe(number, rows))


def read_number(text: str) -> int:
    """Read the number of a table.

    Raises:
        ValueError: if there is no such table here.
    """
    if text not in map(str, NUMBERS):
        raise ValueError(
            f"table must be one of {', '.join(map(str, NUMBERS))}, got {text!r}; tables 5, 6, 7 "
            "and 13 are about explanations, which cannot be run yet."
        )
    return int(text)


def plan_jobs(number: int, options: Namespace) -> list[Job]:
    """Choose the cells and the settings that they are run with.

    Raises:
        ValueError: if an option does not fit the table.
    """
    if options.seeds is not None and options.seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {options.seeds}.")
    wanted = {name: value for name, value in given(options).items() if name in FILTERS}
    cells = select(read_cells(number), wanted)
    datasets = list(dict.fromkeys(cell.settings.data for cell in cells))
    if options.data is not None and len(datasets) > 1:
        raise ValueError(
            f"data can stand in for one dataset only, table {number} has {', '.join(datasets)}; "
            "choose one with --dataset."
        )
    return [
        Job(
            cell=cell,
            settings=adapt(
                cell,
                data=options.data,
                data_root=options.data_root,
                epochs=options.epochs,
                precision=options.precision,
                keep_model=options.keep_model,
            ),
            folder=Path(options.out or OUT) / name_table(number) / cell.name,
            seeds=cell.seeds if options.seeds is None else options.seeds,
        )
        for cell in cells
    ]


def train_missing(jobs: Sequence[Job], device: str) -> None:
    """Train every run that is not finished; jobs of one dataset stand together and load it once."""
    loaded: tuple[str, Dataset] | None = None
    for job in jobs:
        for seed in find_missing(job, job.summarise()):
            if loaded is None or loaded[0] != job.settings.data:
                loaded = None  # frees the images of the dataset before
                loaded = job.settings.data, load_images(job)
            folder = job.folder / name_run(seed)
            settings = replace(job.settings, seed=seed)
            test = run(settings, folder, loaded[1], resume=True, device=device)["test"]
            draws = test["accuracy_draws"]
            accuracy = test["accuracy"] if draws is None else draws["mean"]
            print(f"{folder}: {accuracy:.2%}", file=sys.stderr)


def load_images(job: Job) -> Dataset:
    """Load the images of a job, and check that images of the user's can stand in for the paper's.

    Raises:
        ValueError: if they have another number of classes, or are grey.
    """
    dataset = load_data(job.settings)
    for note in dataset.notes:
        print(f"note: {note}", file=sys.stderr)
    classes, channels = len(dataset.train.class_names), dataset.train.images.shape[1]
    replaced = job.settings.data != job.cell.settings.data
    if replaced and (classes, channels) != (CLASSES, COLOURS):
        raise ValueError(
            f"data must have {CLASSES} classes and {COLOURS} channels like "
            f"{job.cell.settings.data}, got {classes} and {channels} in {job.settings.data}."
        )
    return dataset


def find_missing(job: Job, summary: Summary) -> list[int]:
    """List the seeds that have no finished run."""
    done = {result.seed for result in summary.results}
    return [seed for seed in range(job.seeds) if seed not in done]


def describe(number: int, rows: Sequence[tuple[Job, Summary]]) -> str:
    """Lay a table out for a terminal, accuracies in percent and differences in points."""
    header = ["data", "encoder", "variant", "images", "memory", "seeds", "whence"]
    header += ["paper", "difference", "whole memory", "missing seeds", "not the paper's setting"]
    lines = [describe_row(job, summary) for job, summary in rows]
    kept = [place for place in range(len(header)) if any(line[place] for line in lines)]
    cells = [[line[place] for place in kept] for line in [header, *lines]]
    done = sum(len(summary.results) for _, summary in rows)
    total = sum(job.seeds for job, _ in rows)
    paper_seeds = rows[0][0].cell.seeds
    return "\n".join(
        [
            f"Table {number}: {TABLES[number]}, in %",
            f"mean ± population deviation over seeds, {paper_seeds} in the paper",
            "",
            *align(cells),
            "",
            f"{done} of {total} runs done, {total - done} missing",
        ]
    )


def describe_row(job: Job, summary: Summary) -> list[str]:
    """Write the texts of one row; a column that is empty in every row is left out."""
    cell, has_memory = job.cell, job.cell.settings.variant != "standard"
    changed = find_deviations(cell, job.settings).items()
    difference = summary.difference
    return [
        Path(job.settings.data).name,
        FILTERS["encoder"](cell),
        cell.settings.variant,
        FILTERS["train_examples"](cell),
        FILTERS["memory_size"](cell) if has_memory else "-",
        f"{len(summary.results)}/{job.seeds}",
        percent(summary.mean, summary.std),
        percent(summary.paper_mean, summary.paper_std),
        "-" if difference is None else f"{100 * difference:+.2f}",
        percent(summary.whole_mean, summary.whole_std),
        describe_seeds(find_missing(job, summary)),
        "; ".join(f"{name} {ours}, not {theirs}" for name, (theirs, ours) in changed),
    ]


def percent(mean: float | None, std: float | None) -> str:
    """Write a fraction and its deviation in percent; a dash for what is not there."""
    if mean is None:
        return "-"
    spread = "" if std is None else f" ± {100 * std:5.2f}"
    return f"{100 * mean:.2f}{spread}"


def describe_seeds(seeds: Sequence[int]) -> str:
    """Write ascending seeds as ranges.

    >>> describe_seeds([0, 2, 3, 4])
    '0, 2-4'
    """
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], seed]
        else:
            ranges.append([seed])
    return ", ".join("-".join(map(str, ends)) for ends in ranges)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the columns of a table: words to the left, what begins like a number to the right.

    Args:
        rows: the header and at least one row, of the same length.

    >>> align([["name", "size"], ["a", "1"], ["bcdef", "20"]])
    ['name   size', 'a         1', 'bcdef    20']
    """
    columns = []
    for column in zip(*rows, strict=True):
        width = max(map(len, column))
        to_right = all(text[:1] in "+-0123456789" for text in column[1:])
        columns.append([text.rjust(width) if to_right else text.ljust(width) for text in column])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def to_json(job: Job, summary: Summary) -> dict[str, Any]:
    """Lay one row out as JSON, all fractions."""
    cell, has_memory = job.cell, job.cell.settings.variant != "standard"
    changed = find_deviations(cell, job.settings).items()
    return {
        "cell": cell.name,
        "folder": str(job.folder),
        "dataset": cell.settings.data,
        "data": job.settings.data,
        "encoder": cell.settings.encoder,
        "variant": cell.settings.variant,
        "train_examples": cell.settings.train_examples or FULL,
        "memory_size": (cell.settings.memory_size or MEMORY_SIZE) if has_memory else None,
        "seeds": {
            "asked": job.seeds,
            "done": len(summary.results),
            "missing": find_missing(job, summary),
            "paper": cell.seeds,
        },
        "whence": {"mean": summary.mean, "std": summary.std},
        "paper": {"mean": summary.paper_mean, "std": summary.paper_std},
        "difference": summary.difference,
        "whole_memory": {"mean": summary.whole_mean, "std": summary.whole_std},
        "deviations": {name: {"cell": one, "run": other} for name, (one, other) in changed},
        "runs": [
            {
                "run": str(result.folder),
                "seed": result.seed,
                "accuracy": result.whole_memory,
                "accuracy_draws": result.draws,
            }
            for result in summary.results
        ],
    }


def show_parameters(options: Namespace) -> None:
    """Print table 11: parameters counted and published.

    Raises:
        ValueError: if an option is given that the table has no use for, or no row fits.
    """
    used = ("table", "encoder", "variant", "json", "list")
    unused = [name for name in given(options) if name not in used]
    if unused or options.list:
        name = unused[0].replace("_", "-") if unused else "list"
        raise ValueError(
            f"Table {PARAMETER_TABLE} counts parameters and trains nothing; leave out --{name}."
        )
    chosen = list(PARAMETERS)
    for place, name in enumerate(("encoder", "variant")):
        there, value = dict.fromkeys(pair[place] for pair in chosen), getattr(options, name)
        if value is not None and value not in there:
            raise ValueError(
                f"{name} must be one that the table has, got {value!r}. "
                f"Choose from: {', '.join(there)}."
            )
        chosen = [pair for pair in chosen if value in (None, pair[place])]
    counts = {pair: (count_parameters(*pair), PARAMETERS[pair]) for pair in chosen}
    if options.json:
        cells = [
            {"encoder": encoder, "variant": variant, "whence": ours, "paper": theirs}
            for (encoder, variant), (ours, theirs) in counts.items()
        ]
        print(json.dumps({"table": PARAMETER_TABLE, "cells": cells}, indent=1))
        return
    header = ["encoder", "variant", "whence", "paper", "difference"]
    lines = [
        [*pair, f"{ours:,}", f"{theirs:,}", f"{ours - theirs:+,}"]
        for pair, (ours, theirs) in counts.items()
    ]
    print("\n".join([f"Table {PARAMETER_TABLE}: parameters", "", *align([header, *lines])]))
