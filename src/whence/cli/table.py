"""``whence table``: run a table of the paper, ours beside the published numbers."""

import argparse
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from whence.cli.options import add_device, build_parser, check_device, given, parse
from whence.cli.workers import add_workers
from whence.messages import quote
from whence.runs.settings import Settings
from whence.tables.cell import FULL, Cell
from whence.tables.paper_tables import (
    FILTERS,
    PARAMETER_TABLE,
    TABLES,
    adapt,
    read_cells,
    select,
)

OUT = "runs/tables"
NUMBERS = tuple(sorted([*TABLES, PARAMETER_TABLE]))


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "table",
        "Run the cells of a table of the Memory Wrap paper that are not done yet, one run folder "
        "per seed, and print ours beside the published numbers. Stopped at any moment, the same "
        "command goes on. Tables 5, 6, 7 and 13 show what else the runs of tables 1, 2 and 3 "
        "measured; nothing is trained twice. Table 11 counts parameters and trains nothing.",
    )
    parser.add_argument("table", type=str, metavar="N", help=", ".join(map(str, NUMBERS)))
    parser.add_argument("--dataset", type=str, metavar="D", help="only its cells: svhn, ...")
    parser.add_argument("--encoder", type=str, metavar="NAME", help="only its cells")
    parser.add_argument("--variant", type=str, metavar="V", help="only its cells")
    parser.add_argument(
        "--train-examples", type=str, metavar="K", help=f"only cells of K images, or '{FULL}'"
    )
    parser.add_argument("--memory-size", type=str, metavar="M", help="only its cells")
    parser.add_argument(
        "--seeds", type=int, metavar="S", help="seeds 0 to S-1; by default as many as the paper"
    )
    parser.add_argument("--out", type=str, help=f"folder of all tables' runs (default {OUT})")
    parser.add_argument(
        "--data", type=str, help="other images in place of the cells' dataset, such as a folder"
    )
    parser.add_argument(
        "--data-root", type=str, metavar="FOLDER", help="folder that holds downloaded datasets"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="not the paper's; for a trial")
    parser.add_argument(
        "--precision",
        type=Literal["auto", "float32", "bfloat16"],
        metavar="CHOICE",
        help="auto, float32 or bfloat16; the cells have float32",
    )
    parser.add_argument(
        "--keep-model",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep the trained models, not their numbers alone",
    )
    parser.add_argument(
        "--list", action="store_true", help="print what is done and what is missing, train nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_workers(parser)
    add_device(parser)
    return parser


def table(arguments: list[str]) -> None:
    """Run what is missing of a table and print it."""
    options = parse(build(), arguments)
    number = read_number(options.table)
    if number == PARAMETER_TABLE:
        refuse_unused(options)
        from whence.cli.work.table import show_parameters  # late: it loads torch

        show_parameters(options)
        return
    check_device(options.device)
    planned = plan_cells(number, options)
    from whence.cli.work.table import run_table  # late: it loads torch

    run_table(number, planned, Path(options.out or OUT), options)


def read_number(text: str) -> int:
    """Read the number of a table.

    Raises:
        ValueError: if there is no such table here.
    """
    if text not in map(str, NUMBERS):
        raise ValueError(f"table must be one of {', '.join(map(str, NUMBERS))}, got {quote(text)}.")
    return int(text)


def plan_cells(number: int, options: Namespace) -> list[tuple[Cell, Settings]]:
    """Choose the cells and the settings that they are run with.

    Raises:
        ValueError: if an option does not fit the table.
    """
    wanted = {name: value for name, value in given(options).items() if name in FILTERS}
    cells = select(read_cells(number), wanted)
    datasets = list(dict.fromkeys(cell.settings.data for cell in cells))
    if options.data is not None and len(datasets) > 1:
        raise ValueError(
            f"data can stand in for one dataset only, table {number} has {', '.join(datasets)}; "
            "choose one with --dataset."
        )
    names = ("data", "data_root", "epochs", "precision", "keep_model")
    changes = {name: getattr(options, name) for name in names}
    return [(cell, adapt(cell, **changes)) for cell in cells]


def refuse_unused(options: Namespace) -> None:
    """Refuse options that the table of parameters has no use for.

    Raises:
        ValueError: naming the first of them.
    """
    used = ("table", "encoder", "variant", "json")
    unused = [name for name, value in given(options).items() if value and name not in used]
    if unused:
        raise ValueError(
            f"Table {PARAMETER_TABLE} counts parameters and trains nothing; "
            f"leave out --{unused[0].replace('_', '-')}."
        )
