"""``whence evaluate``: how good a run is, how far it can be trusted; or a folder of runs."""

from jsonargparse import ArgumentParser

from whence.cli.options import (
    add_batch_size,
    add_data,
    add_device,
    add_where,
    build_parser,
    choose_device,
    parse,
    read_map,
)


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
    parser.add_argument("--seed", type=int, help="of the drawn memories; the run's by default")
    add_batch_size(parser)
    parser.add_argument(
        "--no-controls",
        action="store_true",
        help="leave out the network before training, which encodes every image a second time",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser)
    return parser


def evaluate(arguments: list[str]) -> None:
    """Measure accuracy, evidence and signs of doubt."""
    options = parse(build(), arguments)
    renamed = read_map(options)
    device = choose_device(options.device)
    from whence.cli.work.evaluate import evaluate_all  # late: it loads torch

    evaluate_all(options, device, renamed=renamed)
