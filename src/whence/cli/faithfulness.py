"""``whence faithfulness``: how far the relevance of pixels can be trusted, method by method."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.attribution import METHODS
from whence.attribution.baselines import BASELINES
from whence.cli.checks import check_choices
from whence.cli.faithful_choices import EVERY, choose_measures
from whence.cli.files import check_folder_can_be
from whence.cli.options import (
    add_answering,
    add_run,
    build_parser,
    check_device,
    choose_device,
    parse,
)
from whence.metrics.faithfulness import FAITHFULNESS

REFILLS = ("black", "white", "mean", "noise", "blur", "autoencoder")


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "faithfulness",
        "Measure on test images of a run how well attribution methods tell what its answers hang "
        "on: methods by measures, beside controls that know nothing of the model (random, edges, "
        "the network before training), with intervals over images, as a page, a picture of the "
        "curves and JSON. What is measured is kept: the same command goes on where it was stopped.",
    )
    add_run(parser)
    parser.add_argument(
        "--methods",
        type=str,
        nargs="+",
        default=[EVERY],
        metavar="NAME",
        help=f"{EVERY} (default), or some of: {', '.join(METHODS)}",
    )
    parser.add_argument(
        "--measures",
        type=str,
        nargs="+",
        default=[EVERY],
        metavar="NAME",
        help=f"{EVERY} (default), or some of: {', '.join(FAITHFULNESS)}",
    )
    parser.add_argument("--images", type=int, default=100, help="test images, drawn (100)")
    parser.add_argument(
        "--again",
        type=int,
        default=20,
        metavar="N",
        help="images on which measures are taken that ask a method again and again (20)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (0)")
    parser.add_argument(
        "--refill",
        type=str,
        default=REFILLS[0],
        metavar="NAME",
        help=f"what stands in the place of hidden pixels: {', '.join(REFILLS)} ({REFILLS[0]})",
    )
    parser.add_argument(
        "--baseline",
        type=str,
        metavar="NAME",
        help=f"where methods that have a baseline start: {', '.join(BASELINES)}; by default each "
        "where it always does",
    )
    parser.add_argument(
        "--vae", type=str, metavar="FOLDER", help="the autoencoder, made by whence train-vae"
    )
    parser.add_argument(
        "--idsds",
        action="store_true",
        help="also train a copy of the model on images with hidden patches, for the measure idsds",
    )
    parser.add_argument(
        "--no-untrained", action="store_true", help="leave out the network before training"
    )
    parser.add_argument(
        "--out", type=str, metavar="FOLDER", help="by default RUN-faithfulness, here"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    add_answering(parser)
    return parser


def faithfulness(arguments: list[str]) -> None:
    """Measure methods on a run."""
    options = parse(build(), arguments)
    check_table(options)
    options.out = options.out or f"{Path(options.run).resolve().name}-faithfulness"
    check_folder_can_be(Path(options.out))
    check_device(options.device)
    device = choose_device(options.device)
    from whence.cli.work.faithfulness import measure_run  # late: it loads torch

    measure_run(options, device)


def check_table(options: Namespace) -> None:
    """Refuse options that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    check_choices("method", options.methods, (*METHODS, EVERY))
    check_choices("measure", options.measures, (*FAITHFULNESS, EVERY))
    check_choices("refill", [options.refill], REFILLS)
    if options.baseline is not None:
        check_choices("baseline", [options.baseline], tuple(BASELINES))
    if (options.refill == "autoencoder") != (options.vae is not None):
        raise ValueError(
            "refill autoencoder and --vae FOLDER go together; train one with: whence train-vae DATA"
        )
    if "idsds" in options.measures and not options.idsds:
        raise ValueError("measure idsds trains a copy of the model; add --idsds.")
    if options.idsds and "idsds" not in choose_measures(options):
        raise ValueError("--idsds is for the measure of this name; add it to --measures.")
