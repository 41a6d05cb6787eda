"""What ``whence table`` prints: rows aligned for a terminal, or JSON for a program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whence.cli.align import align
from whence.memory.heads import find_head
from whence.tables.cell import ACCURACY, FULL
from whence.tables.paper_tables import (
    FILTERS,
    MEMORY_SIZE,
    TABLES,
    find_deviations,
    name_measure,
)
from whence.tables.summary import Summary
from whence.tables.table_runs import Job

HEADER = (
    "data",
    "encoder",
    "variant",
    "images",
    "memory",
    "seeds",
    "whence",
    "paper",
    "difference",
    "whole memory",
    "missing seeds",
    "seeds without a value",
    "not the paper's setting",
)


def describe_table(number: int, rows: Sequence[tuple[Job, Summary]]) -> str:
    """Lay a table out for a terminal, fractions in percent and differences in points."""
    lines = [describe_row(job, summary) for job, summary in rows]
    kept = [place for place in range(len(HEADER)) if any(line[place] for line in lines)]
    cells = [[line[place] for place in kept] for line in (HEADER, *lines)]
    done = sum(len(summary.results) for _, summary in rows)
    total = sum(job.seeds for job, _ in rows)
    return "\n".join(
        [
            f"Table {number}: {TABLES[number]}, in %",
            f"mean ± population deviation over seeds, {rows[0][0].cell.seeds} in the paper",
            *([] if name_measure(number) == ACCURACY else [name_sources(rows)]),
            "",
            *align(cells),
            "",
            f"{done} of {total} runs done, {total - done} missing",
            *describe_gaps(number, rows),
        ]
    )


def name_sources(rows: Sequence[tuple[Job, Summary]]) -> str:
    """Say which tables of accuracies the rows of a table on explanations share their runs with."""
    tables = sorted({job.cell.paper.table for job, _ in rows})
    return f"measured on the runs of table {', '.join(map(str, tables))}"


def describe_gaps(number: int, rows: Sequence[tuple[Job, Summary]]) -> list[str]:
    """Say which finished runs have no value, and why; no line where all have one."""
    gaps = [run for _, summary in rows for run in summary.results if run.value is None]
    old = [run for run in gaps if not run.measured]
    lines = []
    if old:
        lines.append(
            f"runs done before whence measured the {name_measure(number).replace('_', ' ')}: "
            f"{len(old)}, such as {old[0].folder}; move them away and the same command trains "
            "them again"
        )
    if len(gaps) > len(old):
        lines.append(
            "runs without a test image that has a counterfactual on top: "
            f"{len(gaps) - len(old)}; there is no accuracy on such images"
        )
    return lines


def describe_row(job: Job, summary: Summary) -> list[str]:
    """Write the texts of one row; a column that is empty in every row is left out."""
    cell, difference = job.cell, summary.difference
    changed = find_deviations(cell, job.settings).items()
    return [
        Path(job.settings.data).name,
        FILTERS["encoder"](cell),
        cell.settings.head,
        FILTERS["train_examples"](cell),
        "" if cell.paper.memory_size is None else str(cell.paper.memory_size),
        f"{len(summary.results)}/{job.seeds}",
        percent(summary.mean, summary.std) or "-",
        percent(summary.paper_mean, summary.paper_std),
        "-" if difference is None else f"{100 * difference:+.2f}",
        percent(summary.whole_mean, summary.whole_std),
        describe_seeds(job.find_missing(summary)),
        describe_seeds([result.seed for result in summary.results if result.value is None]),
        "; ".join(f"{name} {ours}, not {theirs}" for name, (theirs, ours) in changed),
    ]


def percent(mean: float | None, std: float | None) -> str:
    """Write a fraction and its deviation in percent, as far as they are there.

    >>> percent(0.4387, 0.014)
    '43.87 ±  1.40'
    """
    if mean is None:
        return ""
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


def to_json(job: Job, summary: Summary) -> dict[str, Any]:
    """Lay one row out as JSON, all fractions, runs under the names of their ``metrics.json``."""
    cell, has_memory = job.cell, find_head(job.cell.settings.head).has_memory
    changed = find_deviations(cell, job.settings).items()
    return {
        "cell": cell.name,
        "runs_of_table": cell.paper.table,
        "folder": str(job.folder),
        "dataset": cell.settings.data,
        "data": job.settings.data,
        "encoder": cell.settings.encoder,
        "variant": cell.settings.head,
        "train_examples": cell.settings.train_examples or FULL,
        "memory_size": (cell.settings.memory_size or MEMORY_SIZE) if has_memory else None,
        "seeds": {
            "asked": job.seeds,
            "done": len(summary.results),
            "missing": job.find_missing(summary),
            "not_measured": [result.seed for result in summary.results if not result.measured],
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
                job.measure: result.whole_memory,
                f"{job.measure}_draws": result.draws,
            }
            for result in summary.results
        ],
    }
