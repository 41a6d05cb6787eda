"""Measure one run or a folder of runs and print what came out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.cli.work.evaluate_text import describe_measured, describe_summary
from whence.records.measures import KnownImages
from whence.report.known import say_known
from whence.runs.evaluate_run import evaluate_run
from whence.runs.finished import find_runs
from whence.runs.measured import average_runs, lay_out_spread
from whence.runs.sample_of_run import Cache
from whence.runs.target import ThresholdChange


def evaluate_all(
    options: Namespace,
    device: str,
    *,
    renamed: Mapping[str, str],
    change: ThresholdChange | None = None,
) -> None:
    """Measure the runs that ``options`` name, and print text or JSON.

    Args:
        options: of the command, checked.
        device: where to compute.
        renamed: classes of other images that are called otherwise than the run's.
        change: of the runs' thresholds; None measures them as they are.
    """
    where = read_where(options)
    cache: Cache = {}  # the runs of a folder mostly share their images
    results = [
        evaluate_run(
            folder,
            data=options.data,
            device=device,
            seed=options.seed,
            batch_size=options.batch_size,
            controls=not options.no_controls,
            renamed=renamed,
            change=change,
            where=where,
            cache=cache,
        )
        for folder in find_runs(Path(options.run))
    ]
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
