"""In which form a command writes what it found: a page, figures or JSON."""

from jsonargparse import ArgumentParser, Namespace

from whence.cli.checks import check_choices
from whence.messages import quote

FORMATS = ("html", "png", "json")


def add_format(parser: ArgumentParser, figures: str) -> None:
    """Add ``--format`` and ``--json``; ``figures`` says what png gives."""
    parser.add_argument(
        "--format",
        type=str,
        metavar="CHOICE",
        help=f"html (default), png ({figures}) or json (printed unless there is an --out)",
    )
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument(
        "--with-pixels", action="store_true", help="the relevance of every pixel in the JSON"
    )


def choose_format(options: Namespace) -> str:
    """Combine ``--format`` and ``--json``.

    Raises:
        ValueError: if the format is unknown, or both were given and differ.
    """
    kind = options.format or ("json" if options.json else "html")
    check_choices("format", [kind], FORMATS)
    if options.json and kind != "json":
        raise ValueError(
            f"format must be json with --json, got {quote(kind)}; leave one of them out."
        )
    return str(kind)
