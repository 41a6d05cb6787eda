"""``whence attribute``: several attribution methods side by side on the same images."""

from jsonargparse import ArgumentParser, Namespace

from whence.attribution import METHODS
from whence.cli.asked import add_asked, find_asked
from whence.cli.checks import check_choices, check_score
from whence.cli.formats import add_format, choose_format
from whence.cli.images import check_asked
from whence.cli.options import add_method_options, build_parser, parse

ALL = "all"
"""In the place of the names of methods."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "attribute",
        "Explain images by several attribution methods and write one HTML page with a column for "
        "each: which pixels of the image and of its evidence counted, and where the score went.",
    )
    add_asked(parser, "RUN-attribution.html")
    add_format(parser, "one figure")
    parser.add_argument(
        "--method",
        type=str,
        nargs="+",
        default=["integrated_gradients"],
        metavar="METHOD",
        help=f"one or more of {', '.join(METHODS)}; or all, which leaves out those that do not "
        "apply and says why (integrated_gradients)",
    )
    add_method_options(parser)
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="evidence images that are shown (3)"
    )
    return parser


def attribute(arguments: list[str]) -> int:
    """Explain images by several methods and write a page, a figure or JSON.

    Returns:
        1 if a file could not be read, else 0.
    """
    options = parse(build(), arguments)
    kind = choose_format(options)
    check_asked(options)
    names = choose_methods(options)
    check_score(options)
    if options.with_pixels and kind != "json":
        raise ValueError("with-pixels is for --format json; leave it out.")
    plan = find_asked(options, f"-attribution.{kind}", to_screen=kind == "json")
    from whence.cli.work.attribute import attribute_all  # late: it loads torch

    return attribute_all(options, kind, names, plan)


def choose_methods(options: Namespace) -> list[str]:
    """List the methods that were asked for, each once.

    Raises:
        ValueError: on an unknown name, or all beside others.
    """
    given = list(dict.fromkeys(options.method))
    if ALL not in given:
        check_choices("attribution method", given, [*METHODS, ALL])
        return given
    if len(given) > 1:
        raise ValueError("method must be all, or names of methods, it is both.")
    return list(METHODS)
