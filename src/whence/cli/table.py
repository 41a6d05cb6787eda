"""``whence table``: run a table of the paper, ours beside the published numbers."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace

from whence.cli.options import add_device, build_parser, check_device, choose_device, given, parse
from whence.cli.plain_text import escape
from whence.cli.table_text import align, describe_table, to_json
from whence.cli.workers import add_workers, choose_worker_device, raise_failed
from whence.runs.settings import Settings
from whence.tables.cell import FULL, Cell
from whence.tables.paper_tables import (
    FILTERS,
    PARAMETER_TABLE,
    TABLES,
    adapt,
    name_measure,
    name_table,
    read_cells,
    select,
)

if TYPE_CHECKING:  # it loads torch, which the help has no use for
    from whence.tables.table_runs import Job

OUT = "runs/tables"
NUMBERS = tuple(sorted([*TABLES, PARAMETER_TABLE]))
STOPPED = "Stopped; the same command goes on from the newest checkpoint."


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "table",
        "Run the cells of a table of the Memory Wrap paper that are not done yet, one run folder "
        "per seed, and print ours beside the published numbers. Stopped at any moment, the same "
        "command goes on. Tables 5, 6, 7 and 13 show what else the runs of tables 1, 2 and 3 "
        "measured; nothing is trained twice. Table 11 counts parameters and trains nothing.",
    )
    parser.add_argument("table", type=str, metavar="N", help=", ".join(map(str, NUMBERS)))
    parser.add_argument("--dataset", type=str, metavar="D", help="only its cells: svhn, ...")
    parser.add_argument("--encoder", type=str, metavar="NAME", help="only its cells")
    parser.add_argument("--variant", type=str, metavar="V", help="only its cells")
    parser.add_argument(
        "--train-examples", type=str, metavar="K", help=f"only cells of K images, or {FULL!r}"
    )
    parser.add_argument("--memory-size", type=str, metavar="M", help="only its cells")
    parser.add_argument(
        "--seeds", type=int, metavar="S", help="seeds 0 to S-1; by default as many as the paper"
    )
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
    add_workers(parser)
    add_device(parser)
    return parser


def table(arguments: list[str]) -> None:
    """Run what is missing of a table and print it."""
    options = parse(build(), arguments)
    number = read_number(options.table)
    if number == PARAMETER_TABLE:
        show_parameters(options)
        return
    check_device(options.device)
    jobs = plan_jobs(number, options)
    for job in jobs:
        job.summarise()  # refuses folders that hold something else before the first training
    failed, total = 0, 0
    if not options.list:
        try:
            failed, total = run_missing(jobs, options)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(STOPPED) from stop
    rows = [(job, job.summarise()) for job in jobs]
    if options.json:
        about = {"table": number, "title": TABLES[number], "measure": name_measure(number)}
        cells = [to_json(job, summary) for job, summary in rows]
        print(json.dumps({**about, "cells": cells}, indent=1))
    else:
        print(describe_table(number, rows))
    raise_failed(failed, total, "the same command tries them again")


def run_missing(jobs: "list[Job]", options: Namespace) -> tuple[int, int]:
    """Run what is missing, in this process or in others.

    Returns:
        How many runs failed, and how many there were to do; a failure in this process is raised.
    """
    from whence.tables.table_runs import train_missing, train_missing_side_by_side  # late

    if options.workers is None and options.scheduler is None:
        device = choose_device(options.device)
        train_missing(jobs, device=device, say=partial(print, file=sys.stderr))
        return 0, 0
    return train_missing_side_by_side(
        jobs,
        Path(options.out or OUT),
        scheduler=options.scheduler,
        workers=options.workers,
        device=choose_worker_device(options),
        clean=escape,
    )


def read_number(text: str) -> int:
    """Read the number of a table.

    Raises:
        ValueError: if there is no such table here.
    """
    if text not in map(str, NUMBERS):
        raise ValueError(f"table must be one of {', '.join(map(str, NUMBERS))}, got {text!r}.")
    return int(text)


def plan_cells(number: int, options: Namespace) -> list[tuple[Cell, Settings]]:
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
    names = ("data", "data_root", "epochs", "precision", "keep_model")
    changes = {name: getattr(options, name) for name in names}
    return [(cell, adapt(cell, **changes)) for cell in cells]


def plan_jobs(number: int, options: Namespace) -> "list[Job]":
    """Plan the runs of a table: the cells chosen, each with its settings and its folder.

    Raises:
        ValueError: if an option does not fit the table.
    """
    planned = plan_cells(number, options)  # first: what it refuses needs no torch
    from whence.tables.table_runs import Job  # late: it loads torch

    return [
        Job(
            cell=cell,
            settings=settings,
            folder=Path(options.out or OUT) / name_table(cell.paper.table) / cell.name,
            seeds=cell.seeds if options.seeds is None else options.seeds,
            measure=name_measure(number),
        )
        for cell, settings in planned
    ]


def show_parameters(options: Namespace) -> None:
    """Print table 11: parameters counted and published.

    Raises:
        ValueError: if an option is given that the table has no use for, or no row fits.
    """
    used = ("table", "encoder", "variant", "json")
    unused = [name for name, value in given(options).items() if value and name not in used]
    if unused:
        raise ValueError(
            f"Table {PARAMETER_TABLE} counts parameters and trains nothing; "
            f"leave out --{unused[0].replace('_', '-')}."
        )
    from whence.studies.parameter_counts import PARAMETERS, count_parameters  # loads torch

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
