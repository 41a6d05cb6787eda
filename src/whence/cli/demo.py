"""``whence demo``: the whole main job on images that ship with scikit-learn."""

from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.files import check_folder_can_be
from whence.cli.options import add_device, build_parser, choose_device, parse


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "demo",
        "Train Standard, Memory Wrap and Votes on 100 labelled digits, compare them on 500 unseen "
        "ones, and show the training images that answers were computed from, here and on a "
        "page for the browser.",
    )
    parser.add_argument("--out", type=str, default="runs/demo", help="folder (default runs/demo)")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="runs of each model (default 3)"
    )
    add_device(parser)
    return parser


def demo(arguments: list[str]) -> None:
    """Train three models with few labelled digits, compare them, and show evidence."""
    options = parse(build(), arguments)
    check_folder_can_be(Path(options.out))
    device = choose_device(options.device)
    from whence.cli.work.demo import show  # late: it loads torch

    show(Path(options.out), options.seeds, device)
