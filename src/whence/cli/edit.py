"""``whence edit``: corrections that a person wrote down, applied to the memory of a run."""

import json
from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.options import (
    add_batch_size,
    add_device,
    add_where,
    build_parser,
    choose_device,
    parse,
    read_where,
)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "edit",
        "Correct the labels of stored images of a run, or take images out, as a person wrote into "
        "the table of suspicious labels that whence report leaves; nothing is trained. The result "
        "is a run of its own, calibrated and measured again. Votes answer by the new labels; other "
        "heads only show them.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")
    parser.add_argument(
        "--corrections",
        type=str,
        required=True,
        metavar="FILE",
        help="the table, in whose column corrected_label a class is filled in, or remove",
    )
    parser.add_argument("--out", type=str, required=True, metavar="FOLDER", help="the new run")
    parser.add_argument("--json", action="store_true", help="print what changed as JSON")
    add_where(parser)
    add_batch_size(parser)
    add_device(parser)
    return parser


def edit(arguments: list[str]) -> None:
    """Correct the memory of a run, and print what changed."""
    options = parse(build(), arguments)
    device = choose_device(options.device)
    from whence.cli.work.edit import describe_edit  # late: it loads torch
    from whence.runs.audit import edit_run

    found = edit_run(
        Path(options.run),
        Path(options.corrections),
        Path(options.out),
        device=device,
        batch_size=options.batch_size,
        where=read_where(options),
    )
    print(json.dumps(found) if options.json else describe_edit(found, options.out))
