"""``whence morph``: a page that shows the way from another class to an answer."""

from jsonargparse import ArgumentParser, Namespace

from whence.bounds import check_number
from whence.cli.asked import add_asked, find_asked
from whence.cli.checks import check_choices
from whence.cli.images import check_asked
from whence.cli.options import build_parser, parse
from whence.morphing import OTHERS, PATHS

FORMATS = ("html", "json")


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "morph",
        "Go from another class to the model's answer, over images that an autoencoder makes, and "
        "write one HTML page that shows the way: the image and its reconstruction, the other "
        "image, the path, and which pixels must follow it.",
    )
    add_asked(parser, "RUN-morph.html")
    parser.add_argument(
        "--vae", type=str, metavar="FOLDER", help="made by whence train-vae from the same images"
    )
    parser.add_argument(
        "--to",
        type=str,
        metavar="CLASS",
        help="the other class; by default the second best, for memory that of the counterfactual",
    )
    parser.add_argument(
        "--other",
        type=str,
        action="append",
        metavar="CHOICE",
        help="where the way starts: morph (the image's own code, changed; the default), nearest "
        "(training image of the other class) or memory (the model's counterfactual); give it "
        "several times to compare",
    )
    parser.add_argument(
        "--format",
        type=str,
        default="html",
        metavar="CHOICE",
        help="html (default) or json (printed unless there is an --out)",
    )
    parser.add_argument("--steps", type=int, default=100, help="images on the path (100)")
    parser.add_argument(
        "--path",
        type=str,
        default="radial",
        metavar="CHOICE",
        help=f"how codes go: {' or '.join(PATHS)} (radial)",
    )
    parser.add_argument(
        "--norm-weight",
        type=float,
        metavar="X",
        help="how strongly a morph keeps the usual length of codes; by default the thesis's for "
        "its datasets, else 0.1",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sampled codes (0)")
    return parser


def morph(arguments: list[str]) -> int:
    """Morph images and write a page or JSON.

    Returns:
        1 if a file could not be read, else 0.
    """
    options = parse(build(), arguments)
    options.other = options.other or [next(iter(OTHERS))]
    check_options(options)
    plan = find_asked(options, "-morph.html", to_screen=options.format == "json")
    from whence.cli.work.morph import morph_all  # late: it loads torch

    return morph_all(options, plan)


def check_options(options: Namespace) -> None:
    """Refuse options that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    check_asked(options)
    if not options.vae:
        raise ValueError(
            "--vae must name the folder of an autoencoder; train one with: whence train-vae DATA"
        )
    check_choices("other", options.other, tuple(OTHERS))
    check_choices("path", [options.path], tuple(PATHS))
    check_choices("format", [options.format], FORMATS)
    if len(set(options.other)) < len(options.other):
        raise ValueError(f"other must be given once for each, got {', '.join(options.other)}.")
    if options.norm_weight is not None and "morph" not in options.other:
        raise ValueError("norm-weight is for a way that starts at a morph; add --other morph.")
    check_number("steps", options.steps, least=2)  # the two ends
