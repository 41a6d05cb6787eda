"""``whence evaluate``: how good a run is, how far it can be trusted; or a folder of runs."""

import json
from pathlib import Path
from typing import Any

from whence.cli.options import add_device, build_parser, choose_device, parse
from whence.cli.plain_text import escape, print_note


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
    device = choose_device(options.device)
    from whence.cli.evaluate_text import describe, describe_summary  # late: they load torch
    from whence.runs.finished import Cache, evaluate_run, find_runs

    cache: Cache = {}  # the runs of a folder mostly share their images
    results = [
        evaluate_run(
            folder,
            data=options.data,
            device=device,
            seed=options.seed,
            batch_size=options.batch_size,
            controls=not options.no_controls,
            cache=cache,
        )
        for folder in find_runs(Path(options.run))
    ]
    for note in {note: None for result in results for note in result["notes"]}:
        print_note(note)
    if options.json:
        print(json.dumps(results[0] if len(results) == 1 else summarise(results), indent=1))
        return
    blocks = [describe({**result, "run": escape(result["run"])}) for result in results]
    if len(results) > 1:
        blocks.append(describe_summary(summarise(results)))
    print("\n".join(blocks))


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Average what was measured over runs; deviations are population deviations, as in the paper.

    A number that a run does not have is left out of the average.
    """
    from whence.runs.measured import average_runs, spread  # late: they load torch

    whole = [result["accuracy"] for result in results]
    draws = [result["accuracy_draws"]["mean"] for result in results if result["accuracy_draws"]]
    return {
        "accuracy": spread(whole),
        "accuracy_draws": spread(draws),
        **average_runs(results),
        "runs": results,
    }
