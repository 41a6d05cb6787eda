"""``whence explain``: a page that shows the evidence behind answers."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.attribution import METHODS
from whence.attribution.baselines import BASELINES
from whence.attribution.moved import MOVED
from whence.cli.asked import add_asked, find_asked
from whence.cli.checks import check_choices, check_score
from whence.cli.formats import add_format, choose_format
from whence.cli.images import check_asked
from whence.cli.options import METHOD_OPTIONS, NO_METHOD, add_method_options, build_parser, parse

IN_PYTHON = ("path_integrated_gradients",)
"""Methods that need what no command line can say."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "explain",
        "Answer for images and write one HTML page that shows the evidence the model used: the "
        "stored training images with their weights, an example and a counterfactual with "
        "the relevance of their pixels, what would change the answer, and how far to trust it.",
    )
    add_asked(parser, "RUN.html")
    add_format(parser, "two figures")
    parser.add_argument(
        "--method",
        type=str,
        default="integrated_gradients",
        metavar="METHOD",
        help=f"how the relevance of pixels is found: {', '.join(list_methods())}, or none, which "
        "is quick (integrated_gradients)",
    )
    add_method_options(parser)
    parser.add_argument(
        "--steps",
        type=int,
        help="of integrated_gradients: points on its path (32 to 288, as many as are needed)",
    )
    parser.add_argument(
        "--baseline",
        type=str,
        metavar="CHOICE",
        help=f"where that path starts: {', '.join(BASELINES)} (white)",
    )
    parser.add_argument(
        "--memory",
        type=str,
        metavar="CHOICE",
        help="stored images that take that path: evidence or all (evidence)",
    )
    parser.add_argument("--draws", type=int, default=20, help="random memories to compare (20)")
    parser.add_argument(
        "--memory-size", type=int, metavar="M", help="images in each of them (100, or all)"
    )
    parser.add_argument(
        "--morph",
        type=str,
        metavar="VAE",
        help="also go there from another class, with the autoencoder in this folder (whence morph)",
    )
    return parser


def list_methods() -> list[str]:
    """List the attribution methods that can be chosen."""
    return [name for name in METHODS if name not in IN_PYTHON]


def explain(arguments: list[str]) -> int:
    """Explain images and write a page, figures or JSON.

    Returns:
        1 if a file could not be read, else 0.
    """
    options = parse(build(), arguments)
    kind = choose_format(options)
    check_options(options, kind)
    split = name_figures if kind == "png" else None
    plan = find_asked(options, f".{kind}", to_screen=kind == "json", split=split)
    from whence.cli.work.explain import explain_all  # late: it loads torch

    return explain_all(options, kind, plan)


def check_options(options: Namespace, kind: str) -> None:
    """Refuse options that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    check_asked(options)
    check_choices("attribution method", [options.method], [*list_methods(), NO_METHOD])
    check_score(options)
    for name, choices in (("baseline", BASELINES), ("memory", MOVED)):
        given = getattr(options, name)
        check_choices(name, [] if given is None else [given], [*choices])
    if options.morph and kind == "png":
        raise ValueError("morph is for --format html or json; leave one of them out.")
    for name in ("target", "score", "option", *METHOD_OPTIONS):
        if getattr(options, name) is not None and options.method == NO_METHOD:
            raise ValueError(f"{name} is for an attribution method; leave --method none out.")
    if options.with_pixels and (kind != "json" or options.method == NO_METHOD):
        raise ValueError("with-pixels is for --format json with a method; leave it out.")


def name_figures(path: Path) -> list[Path]:
    """Name the two figures after the file that was asked for."""
    stem = path.with_suffix("") if path.suffix.lower() == ".png" else path
    return [stem.with_name(f"{stem.name}-{what}.png") for what in ("evidence", "attribution")]
