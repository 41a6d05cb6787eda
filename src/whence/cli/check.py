"""``whence check``: does a run still do what is expected of it?"""

from pathlib import Path

from jsonargparse import ArgumentParser

from whence.checks.expectations import read_expectations
from whence.cli.files import refuse_existing
from whence.cli.options import add_answering, add_run, build_parser, choose_device, parse


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "check",
        "Check assertions about the answers of a run and their evidence, kept in a TOML file "
        "(docs/checks.md): exit code 0 if all hold, 1 if one does not, 2 if the file is wrong. "
        "--write makes a first file from what is true today.",
    )
    add_run(parser)
    parser.add_argument(
        "--expect",
        type=str,
        metavar="FILE",
        default="checks.toml",
        help="of what is expected (checks.toml)",
    )
    parser.add_argument(
        "--write", action="store_true", help="write FILE from what is true today, and check it"
    )
    parser.add_argument("--junit", type=str, metavar="FILE", help="write JUnit XML, for CI servers")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    add_answering(parser)
    return parser


def check(arguments: list[str]) -> int:
    """Check a run against a file of expectations.

    Returns:
        1 if an expectation does not hold, else 0.
    """
    options = parse(build(), arguments)
    file = Path(options.expect)
    if options.write:
        refuse_existing([file], force=options.force, option="--expect")
    junit = None if options.junit is None else Path(options.junit)
    if junit is not None:
        refuse_existing([junit], force=True, option="--junit")
    expected = None if options.write else read_expectations(file)
    device = choose_device(options.device)
    from whence.cli.work.check import check_all  # late: it loads torch

    return check_all(options, file, expected, junit, device)
