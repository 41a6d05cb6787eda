"""``whence report``: a page about a whole run."""

from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.files import choose_files, refuse_existing
from whence.cli.options import (
    add_batch_size,
    add_data,
    add_device,
    add_groups,
    add_out,
    add_run,
    add_where,
    build_parser,
    choose_device,
    parse,
    read_columns,
    read_map,
)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "report",
        "Measure a run on its test images and write one HTML page about it as a whole: accuracy "
        "and confusions, how far its evidence and its signs of doubt can be trusted, the stored "
        "images that it uses most and those used in errors, labels that look wrong (as a table, "
        "too, to fill in for whence edit and whence train --corrections), images that look the "
        "same, and the hardest test images with their full explanations.",
    )
    add_run(parser)
    add_out(parser, "RUN-report.html")
    add_data(parser)
    add_where(parser)
    add_groups(
        parser,
        "a table with the columns path and group, or 'folder' for the folders of the files: "
        "measure each group, and show what the errors of the worst one rest on; by default the "
        "groups of the run's own table, where it has them",
    )
    parser.add_argument(
        "--hard", type=int, default=8, metavar="N", help="hard cases that are explained (8)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the numbers as JSON, printed unless there is an --out"
    )
    parser.add_argument("--seed", type=int, help="of the random memories; the run's by default")
    add_batch_size(parser)
    add_device(parser)
    return parser


def name_audit(page: Path) -> Path:
    """Name the table of suspicious labels beside a page.

    >>> name_audit(Path("runs/cells-report.html")).as_posix(), name_audit(Path("a.html")).name
    ('runs/cells-suspicious.csv', 'a-suspicious.csv')
    """
    return page.with_name(f"{page.stem.removesuffix('-report')}-suspicious.csv")


def report(arguments: list[str]) -> None:
    """Measure a run and write a page, or its numbers as JSON."""
    options = parse(build(), arguments)
    renamed, columns = read_map(options), read_columns(options)
    files = choose_files(options.out, options.run, "-report.html", to_screen=options.json)
    files += [name_audit(path) for path in files]
    refuse_existing(files, force=options.force)
    device = choose_device(options.device)
    from whence.cli.work.report import report_run  # late: it loads torch

    report_run(options, files, device, renamed=renamed, columns=columns)
