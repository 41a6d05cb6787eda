"""``whence edit``: corrections that a person wrote down, or new images, for a run's memory."""

import json
from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.options import (
    add_answering,
    add_run,
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
        "the table of suspicious labels that whence report leaves; or add images, for votes also "
        "of classes that were not trained. Nothing is trained. The result is a run of its own, "
        "calibrated and measured again. Votes answer by the new labels; other heads only show "
        "them.",
    )
    add_run(parser)
    parser.add_argument(
        "--corrections",
        type=str,
        metavar="FILE",
        help="the table, in whose column corrected_label a class is filled in, or remove",
    )
    parser.add_argument(
        "--add",
        type=str,
        metavar="DATA",
        help="images that come to the memory: a folder with one folder per class, or a table",
    )
    parser.add_argument(
        "--new-classes",
        type=str,
        nargs="+",
        metavar="NAME",
        help="classes of --add that the run was not trained for",
    )
    parser.add_argument("--out", type=str, required=True, metavar="FOLDER", help="the new run")
    parser.add_argument("--json", action="store_true", help="print what changed as JSON")
    add_answering(parser)
    return parser


def edit(arguments: list[str]) -> None:
    """Correct the memory of a run or add images to it, and print what changed.

    Raises:
        ValueError: if nothing is asked for, or both.
    """
    options = parse(build(), arguments)
    if (options.corrections is None) == (options.add is None):
        raise ValueError(
            "edit needs a table of --corrections, or images to --add; give one of them."
        )
    if options.new_classes and options.add is None:
        raise ValueError("new-classes are of images that come; name these with --add.")
    run, out, where = Path(options.run), Path(options.out), read_where(options)
    device = choose_device(options.device)
    from whence.cli.work.edit import describe_added, describe_edit  # late: it loads torch

    if options.add is None:
        from whence.runs.audit import edit_run

        found = edit_run(
            run,
            Path(options.corrections),
            out,
            device=device,
            batch_size=options.batch_size,
            where=where,
        )
    else:
        from whence.runs.grow_run import grow_run

        found = grow_run(
            run,
            options.add,
            out,
            new_classes=options.new_classes or (),
            device=device,
            batch_size=options.batch_size,
            where=where,
        )
    describe = describe_edit if options.add is None else describe_added
    print(json.dumps(found) if options.json else describe(found, options.out))
