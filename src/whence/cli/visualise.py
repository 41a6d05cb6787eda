"""``whence visualise``: what units of a network look for."""

from jsonargparse import ArgumentParser

from whence.cli.checks import check_choices
from whence.cli.files import choose_files, refuse_existing
from whence.cli.formats import FORMATS
from whence.cli.options import (
    add_batch_size,
    add_device,
    add_out,
    add_run,
    add_where,
    build_parser,
    choose_device,
    parse,
)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "visualise",
        "Show what units of a run's network look for, on one HTML page: inputs made to activate "
        "them most, the patches of training images that do, and, of a run that was trained with "
        "--keep-checkpoints, how they came about.",
    )
    add_run(parser)
    parser.add_argument(
        "--unit",
        type=str,
        nargs="+",
        metavar="UNIT",
        help="logit:CLASS, probability:CLASS, layer:LAYER, channel:LAYER:NUMBER or "
        "neuron:LAYER:NUMBER,ROW,COLUMN; by default the logits of up to ten classes and four "
        "channels of the last layer that has places",
    )
    parser.add_argument(
        "--layers", action="store_true", help="print the names and shapes of all layers, no page"
    )
    parser.add_argument(
        "--vae", type=str, metavar="FOLDER", help="made by whence train-vae: it makes inputs, too"
    )
    parser.add_argument("--steps", type=int, default=150, help="most steps of an input (150)")
    parser.add_argument(
        "--top", type=int, default=9, metavar="N", help="patches of training images (9)"
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=5000,
        metavar="N",
        help="training images that are looked through, drawn by the seed if there are more (5000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of noise, shifts and that draw (0)")
    add_where(parser)
    add_out(parser, "RUN-units.html")
    parser.add_argument(
        "--format",
        type=str,
        default="html",
        metavar="CHOICE",
        help="html (default), png (one figure) or json (numbers, printed unless there is an --out)",
    )
    add_batch_size(parser)
    add_device(parser)
    return parser


def visualise(arguments: list[str]) -> None:
    """Show what units look for, or list the layers that have some."""
    options = parse(build(), arguments)
    check_choices("format", [options.format], FORMATS)
    kind = options.format
    if options.layers and (options.unit or options.out or options.vae or kind != FORMATS[0]):
        raise ValueError("--layers prints the layers; leave out --unit, --vae, --out and --format.")
    files = choose_files(options.out, options.run, f"-units.{kind}", to_screen=kind == "json")
    if not options.layers:
        refuse_existing(files, force=options.force)
    device = choose_device(options.device)
    from whence.cli.work.visualise import print_layers, visualise_run  # late: it loads torch

    if options.layers:
        print_layers(options, device)
    else:
        visualise_run(options, files, device)
