"""``whence evaluate``: how good a run is, how far it can be trusted; or a folder of runs."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.cli.files import refuse_existing
from whence.cli.options import (
    add_batch_size,
    add_data,
    add_device,
    add_where,
    build_parser,
    choose_device,
    parse,
    read_columns,
    read_map,
)
from whence.runs.parse import add_setting
from whence.runs.settings import FIELDS
from whence.runs.target import ThresholdChange, read_target


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "evaluate",
        "Measure the accuracy of a run with its whole memory, and by the paper's protocol (five "
        "passes, a fresh memory for every batch); what its evidence says, beside controls; and how "
        "well signs of doubt find its errors. A folder of runs gives mean and deviation.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder, or a folder of runs")
    add_data(parser)
    add_where(parser)
    parser.add_argument(
        "--unlabelled",
        action="store_true",
        help="the images of --data have no labels: answers and doubt alone, of all images in a "
        "folder and below; a folder of files alone, or a table without labels, is read so anyway",
    )
    parser.add_argument(
        "--answers",
        type=str,
        metavar="FILE",
        help="write a CSV file with a row for each image: answer, probabilities, doubt, evidence",
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--seed", type=int, help="of the drawn memories; the run's by default")
    add_batch_size(parser)
    parser.add_argument(
        "--no-controls",
        action="store_true",
        help="leave out the network before training, which encodes every image a second time",
    )
    for setting in ("target_recall", "cost"):
        add_setting(parser.add_argument, FIELDS[setting])
    parser.add_argument(
        "--no-threshold", action="store_true", help="answer by the highest probability alone"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep this threshold, or none, with the run: for predict, explain and report as well",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser)
    return parser


def evaluate(arguments: list[str]) -> None:
    """Measure accuracy, evidence and signs of doubt."""
    options = parse(build(), arguments)
    renamed, columns, change = read_map(options), read_columns(options), read_change(options)
    if options.unlabelled and options.data is None:
        raise ValueError("unlabelled is for other images; name them with --data.")
    files = [] if options.answers is None else [Path(options.answers)]
    refuse_existing(files, force=options.force, option="--answers")
    device = choose_device(options.device)
    from whence.cli.work.evaluate import evaluate_all  # late: it loads torch

    evaluate_all(options, device, renamed=renamed, columns=columns, change=change)


def read_change(options: Namespace) -> ThresholdChange | None:
    """Read which threshold the run is to have, None where it stays what it is.

    Raises:
        ValueError: if options contradict each other, or are not CLASS=NUMBER.
    """
    target = read_target(options.target_recall, options.cost)
    if target is not None and options.no_threshold:
        raise ValueError(
            f"--no-threshold takes away what --{target.option.replace('_', '-')} gives; give one "
            "of them."
        )
    if target is None and not options.no_threshold:
        if options.keep:
            raise ValueError(
                "--keep keeps a threshold; name it with --target-recall or --cost, or take it away "
                "with --no-threshold."
            )
        return None
    return ThresholdChange(target, options.keep)
