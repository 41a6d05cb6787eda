"""``whence evaluate``: how good a run is, how far it can be trusted; or a folder of runs."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from whence.cli.evaluate_text import describe, describe_summary
from whence.cli.options import add_device, build_parser, choose_device, parse
from whence.experiments.finished import evaluate_run, find_runs
from whence.experiments.measured import average_runs


def evaluate(arguments: list[str]) -> None:
    """Measure accuracy, evidence and signs of doubt."""
    parser = build_parser(
        "evaluate",
        "Measure the accuracy of a run with its whole memory, and by the paper's protocol (five "
        "passes, a fresh memory for every batch); what its evidence says, beside controls; and how "
        "well signs of doubt find its errors. A folder of runs gives mean and deviation.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder, or a folder of runs")
    parser.add_argument("--data", type=str, help="other images: a dataset's name or image folder")
    parser.add_argument("--seed", type=int, help="of the drawn memories; the run's by default")
    parser.add_argument("--batch-size", type=int, default=128, help="images encoded at once (128)")
    parser.add_argument(
        "--no-controls",
        action="store_true",
        help="leave out the network before training, which encodes every image a second time",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser)
    options = parse(parser, arguments)
    if options.batch_size < 1:
        raise ValueError(f"batch-size must be at least 1, got {options.batch_size}.")
    results = [
        evaluate_run(
            folder,
            data=options.data,
            device=choose_device(options.device),
            seed=options.seed,
            batch_size=options.batch_size,
            controls=not options.no_controls,
        )
        for folder in find_runs(Path(options.run))
    ]
    for note in {note: None for result in results for note in result["notes"]}:
        print(f"note: {note}", file=sys.stderr)
    if options.json:
        print(json.dumps(results[0] if len(results) == 1 else summarise(results), indent=1))
        return
    print("\n".join(describe(result) for result in results))
    if len(results) > 1:
        print(describe_summary(summarise(results)))


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Average what was measured over runs; deviations are population deviations, as in the paper.

    A number that a run does not have is left out of the average.
    """
    whole = [result["accuracy"] for result in results]
    draws = [result["accuracy_draws"]["mean"] for result in results if result["accuracy_draws"]]
    return {
        "accuracy": {"mean": statistics.fmean(whole), "std": statistics.pstdev(whole)},
        "accuracy_draws": (
            {"mean": statistics.fmean(draws), "std": statistics.pstdev(draws)} if draws else None
        ),
        **average_runs(results),
        "runs": results,
    }
