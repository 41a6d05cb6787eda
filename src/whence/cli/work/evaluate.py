"""Measure one run or a folder of runs and print what came out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.cli.work.evaluate_text import describe_measured, describe_summary
from whence.cli.work.unlabelled_text import describe_unlabelled
from whence.data import DATASETS
from whence.data.sample_table import is_unlabelled
from whence.records.measures import KnownImages
from whence.report.known import say_known
from whence.runs.evaluate_run import evaluate_run
from whence.runs.finished import find_runs
from whence.runs.measured import average_runs, lay_out_spread
from whence.runs.rows_of_answers import write_rows
from whence.runs.sample_of_run import Cache
from whence.runs.target import ThresholdChange
from whence.runs.unlabelled import answer_unlabelled


def evaluate_all(
    options: Namespace,
    device: str,
    *,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
    change: ThresholdChange | None = None,
) -> None:
    """Measure the runs that ``options`` name, and print text or JSON.

    Args:
        options: of the command, checked.
        device: where to compute.
        renamed: classes of other images that are called otherwise than the run's.
        columns: of a table of other images, by what they say.
        change: of the runs' thresholds; None measures them as they are.
    """
    where = read_where(options)
    folders = find_runs(Path(options.run))
    if options.answers is not None and len(folders) > 1:
        raise ValueError(f"answers are those of one run, {options.run} holds {len(folders)}.")
    if has_no_labels(options, columns):
        say_unlabelled(options, folders, device, columns=columns, renamed=renamed, change=change)
        return
    cache: Cache = {}  # the runs of a folder mostly share their images
    rows: list[dict[str, Any]] | None = None if options.answers is None else []
    results = [
        evaluate_run(
            folder,
            data=options.data,
            device=device,
            seed=options.seed,
            batch_size=options.batch_size,
            controls=not options.no_controls,
            renamed=renamed,
            columns=columns,
            change=change,
            where=where,
            cache=cache,
            rows=rows,
        )
        for folder in folders
    ]
    if rows:
        write_rows(Path(options.answers), rows)
    for note in {note: None for result in results for note in result["notes"]}:
        print_note(note)
    if options.json:
        for result in results:
            sentence = say_known(KnownImages(**result["known"]))
            if sentence is not None:
                print_note(sentence)
        print(json.dumps(results[0] if len(results) == 1 else summarise_runs(results), indent=1))
        return
    blocks = [describe_measured({**result, "run": escape(result["run"])}) for result in results]
    if len(results) > 1:
        blocks.append(describe_summary(summarise_runs(results)))
    print("\n".join(blocks))


def has_no_labels(options: Namespace, columns: Mapping[str, str]) -> bool:
    """Say whether other images are measured that have no labels, or are not to be read for any."""
    if options.data is None or options.data in DATASETS:
        return False
    return options.unlabelled or is_unlabelled(options.data, columns)


def say_unlabelled(
    options: Namespace,
    folders: Sequence[Path],
    device: str,
    *,
    columns: Mapping[str, str],
    renamed: Mapping[str, str],
    change: ThresholdChange | None,
) -> None:
    """Answer images without labels, and print how doubtful the answers are, or JSON.

    Raises:
        ValueError: if classes are to be mapped, or a threshold chosen.
    """
    if renamed or change is not None:
        raise ValueError(
            f"{options.data} has no labels: classes cannot be mapped, nor a threshold tried; leave "
            "those options out."
        )
    results = [
        answer_unlabelled(
            folder,
            options.data,
            device=device,
            batch_size=options.batch_size,
            columns=columns,
        )
        for folder in folders
    ]
    for note in {note: None for result in results for note in result["notes"]}:
        print_note(note)
    if options.answers is not None:
        write_rows(Path(options.answers), results[0]["rows"])
    if options.json:
        print(json.dumps(results[0] if len(results) == 1 else results, indent=1))
        return
    print("\n".join("\n".join(describe_unlabelled(result)) for result in results))


def summarise_runs(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Average what was measured over runs; deviations are population deviations, as in the paper.

    A number that a run does not have is left out of the average.
    """
    whole = [result["accuracy"] for result in results]
    draws = [result["accuracy_draws"]["mean"] for result in results if result["accuracy_draws"]]
    return {
        "accuracy": lay_out_spread(whole),
        "balanced_accuracy": lay_out_spread([result["balanced_accuracy"] for result in results]),
        "accuracy_draws": lay_out_spread(draws),
        **average_runs(results),
        "runs": results,
    }
