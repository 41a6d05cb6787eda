"""``whence compare``: what changed between two runs, and whether images have drifted."""

from jsonargparse import ArgumentParser

from whence.cli.files import choose_files, refuse_existing
from whence.cli.options import (
    add_answering,
    add_data,
    add_out,
    build_parser,
    choose_device,
    parse,
    read_columns,
    read_map,
)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "compare",
        "Compare two runs on the same images and write one HTML page: answers that changed, how "
        "much evidence they share, which stored images came and went, how calibration and doubt "
        "moved, and how far the images are from the training images of each. With one run it "
        "tells that distance (drift) alone; the images need no labels.",
    )
    parser.add_argument("run", type=str, metavar="RUN1", help="run folder")
    parser.add_argument("second", type=str, nargs="?", metavar="RUN2", help="another one")
    add_out(parser, "RUN1-compared.html")
    parser.add_argument(
        "--json", action="store_true", help="the numbers as JSON, printed unless there is an --out"
    )
    add_data(parser)
    add_answering(parser)
    return parser


def compare(arguments: list[str]) -> None:
    """Compare two runs and write a page, or its numbers as JSON."""
    options = parse(build(), arguments)
    renamed, columns = read_map(options), read_columns(options)
    if options.second is None and options.data is None:
        raise ValueError("compare needs a second run, or images for one: name them with --data.")
    files = choose_files(options.out, options.run, "-compared.html", to_screen=options.json)
    refuse_existing(files, force=options.force)
    device = choose_device(options.device)
    from whence.cli.work.compare import compare_on_images  # late: it loads torch

    compare_on_images(options, files, device, renamed=renamed, columns=columns)
