"""``whence predict``: answers for image files, with the images each answer came from."""

from jsonargparse import ArgumentParser, Namespace

from whence.cli.images import find_images
from whence.cli.options import (
    add_batch_size,
    add_device,
    add_run,
    build_parser,
    check_device,
    choose_device,
    parse,
)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "predict",
        "Classify images with a trained run and name the training images each answer was computed "
        "from. `whence explain` shows them.",
    )
    add_run(parser)
    parser.add_argument("images", type=str, nargs="+", metavar="IMAGE", help="files or folders")
    add_batch_size(parser)
    parser.add_argument(
        "--top",
        type=int,
        metavar="N",
        help="evidence images per answer; by default 3 in text, and all in JSON",
    )
    parser.add_argument("--brief", action="store_true", help="print one line per image")
    parser.add_argument("--csv", action="store_true", help="print a table for a spreadsheet")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    add_device(parser)
    return parser


def predict(arguments: list[str]) -> int:
    """Classify image files or folders of images.

    Returns:
        1 if a file could not be read, else 0.
    """
    options = parse(build(), arguments)
    check_device(options.device)
    check_form(options)
    files = find_images(options.images)
    device = choose_device(options.device)
    from whence.cli.work.predict import predict_all  # late: it loads torch

    return predict_all(options, files, device)


def check_form(options: Namespace) -> None:
    """Refuse two forms of printing at once, and a number of evidence images where none is printed.

    Raises:
        ValueError: naming the options.
    """
    chosen = [f"--{name}" for name in ("brief", "csv", "json") if options[name]]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(chosen)} print the same answers; give one of them.")
    if options.top is not None and chosen in (["--brief"], ["--csv"]):
        raise ValueError(f"--top is for text and --json; leave it out with {chosen[0]}.")
