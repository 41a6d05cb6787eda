"""Run what is missing of a table, or count parameters, and print it."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jsonargparse import Namespace

from whence.cli.align import align
from whence.cli.options import choose_device
from whence.cli.plain_text import escape
from whence.cli.work.table_text import describe_table, to_json
from whence.cli.workers import choose_worker_device, raise_failed
from whence.messages import quote
from whence.runs.settings import Settings
from whence.studies.parameter_counts import PARAMETERS, count_parameters
from whence.tables.cell import Cell
from whence.tables.paper_tables import PARAMETER_TABLE, TABLES, name_measure, name_table
from whence.tables.table_runs import Job, train_missing, train_missing_side_by_side

STOPPED = "Stopped; the same command goes on from the newest checkpoint."


def run_table(
    number: int, planned: Sequence[tuple[Cell, Settings]], folder: Path, options: Namespace
) -> None:
    """Run what is missing of a table and print it.

    Args:
        number: of the table.
        planned: its cells that were chosen, each with the settings that it is run with.
        folder: of all tables' runs.
        options: of the command, checked.

    Raises:
        ValueError: if a folder holds something else; after the table, if a run failed.
    """
    jobs = plan_jobs(number, planned, folder, options.seeds)
    for job in jobs:
        job.summarise()  # refuses folders that hold something else before the first training
    failed, total = 0, 0
    if not options.list:
        try:
            failed, total = run_missing(jobs, folder, options)
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


def plan_jobs(
    number: int, planned: Sequence[tuple[Cell, Settings]], folder: Path, seeds: int | None
) -> list[Job]:
    """Give every cell its folder, and its seeds where none were asked for."""
    return [
        Job(
            cell=cell,
            settings=settings,
            folder=folder / name_table(cell.paper.table) / cell.name,
            seeds=cell.seeds if seeds is None else seeds,
            measure=name_measure(number),
        )
        for cell, settings in planned
    ]


def run_missing(jobs: list[Job], folder: Path, options: Namespace) -> tuple[int, int]:
    """Run what is missing, in this process or in others.

    Returns:
        How many runs failed, and how many there were to do; a failure in this process is raised.
    """
    if options.workers is None and options.scheduler is None:
        device = choose_device(options.device)
        train_missing(jobs, device=device, say=partial(print, file=sys.stderr))
        return 0, 0
    return train_missing_side_by_side(
        jobs,
        folder,
        scheduler=options.scheduler,
        workers=options.workers,
        device=choose_worker_device(options),
        clean=escape,
    )


def show_parameters(options: Namespace) -> None:
    """Print table 11: parameters counted and published.

    Raises:
        ValueError: if no row fits.
    """
    chosen = list(PARAMETERS)
    for place, name in enumerate(("encoder", "variant")):
        there, value = dict.fromkeys(pair[place] for pair in chosen), getattr(options, name)
        if value is not None and value not in there:
            raise ValueError(
                f"{name} must be one that the table has, got {quote(value)}. "
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
