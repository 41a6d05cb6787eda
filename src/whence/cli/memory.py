"""``whence memory``: which stored images a smaller memory keeps, and what that costs."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.cli.checks import check_choices
from whence.cli.files import refuse_existing
from whence.cli.options import (
    add_answering,
    add_groups,
    add_run,
    build_parser,
    choose_device,
    parse,
)
from whence.messages import quote
from whence.runs.where import BANKS
from whence.selections import SELECTIONS

DIVIDING = ("balanced", "herding")
"""Selections that keep groups apart."""

BEST = "herding"
"""The selection of the memory that is kept, unless another one is asked for."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "memory",
        "Measure smaller memories of a run, chosen in several ways, on its test images; with "
        "--size, keep one of them beside the old memory, as a run that every command takes. "
        "Nothing is trained again.",
    )
    add_run(parser)
    parser.add_argument(
        "--by",
        type=str,
        nargs="+",
        metavar="SELECTION",
        help=f"how the stored images are chosen: {', '.join(SELECTIONS)}; by default all are "
        f"measured, and {BEST} chooses what is kept",
    )
    parser.add_argument(
        "--size",
        type=int,
        dest="memory_size",
        metavar="N",
        help="stored images that stay in the memory that is kept",
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        metavar="N",
        help="that are measured; by default from 10 to all",
    )
    parser.add_argument("--name", type=str, help="of the memory that is kept (SELECTION-N)")
    add_what_stays(parser)
    add_other_keys(parser)
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument(
        "--figure", type=str, metavar="FILE", help="draw the measures against the size, as PNG"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the figure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_answering(parser)
    return parser


def add_what_stays(parser: ArgumentParser) -> None:
    """Add where a memory is kept, and what stays in it or goes in any case."""
    parser.add_argument(
        "--out",
        type=str,
        metavar="FOLDER",
        help=f"where it is kept, by default RUN/{BANKS}/NAME",
    )
    for option, what in (("pin", "stay"), ("ban", "go")):
        parser.add_argument(
            f"--{option}",
            type=str,
            nargs="+",
            metavar="IMAGE",
            help=f"stored images that {what} in any case: files as the evidence shows them, "
            "patterns, classes, or @FILE with one of these in each line",
        )
    add_groups(
        parser,
        "a table with the columns path and group, one row for each stored image: as many stay "
        "of each group of each class as of any other (balanced and herding)",
    )


def add_other_keys(parser: ArgumentParser) -> None:
    """Add how votes come to compare by other keys, where groups are not to count."""
    parser.add_argument(
        "--learn-again",
        action="store_true",
        help="learn the keys of votes again from the memory that is kept, in seconds: where groups "
        "are to count alike",
    )
    parser.add_argument(
        "--erase-groups",
        action="store_true",
        help="compare images by what does not tell the groups of --groups apart, where a class is "
        "known by its group, such as a camera; without --size all stored images stay",
    )


def memory(arguments: list[str]) -> None:
    """Measure smaller memories, and keep one of them."""
    options = parse(build(), arguments)
    by = options.by or choose_selections(options)
    check_choices("selection", by, tuple(SELECTIONS))
    out = choose_bank_folder(options, by)
    for name in ("pin", "ban"):
        options[name] = read_lists(options[name], name)
    if options.figure is not None:
        refuse_existing([Path(options.figure)], force=options.force, option="--figure")
    if options.group_column is not None and options.groups is None:
        raise ValueError("group-column is for a table of groups; name it with --groups.")
    if options.erase_groups and options.groups is None:
        raise ValueError("erase-groups needs the group of every stored image; name --groups.")
    if options.erase_groups and options.learn_again:
        raise ValueError("erase-groups and learn-again both make other keys; give one of them.")
    device = choose_device(options.device)
    from whence.cli.work.memory import measure_memories  # late: it loads torch

    measure_memories(options, by, out, device)


def choose_selections(options: Namespace) -> list[str]:
    """Name the selections, where none is asked for: all that can do what is asked."""
    if options.memory_size is not None or options.erase_groups:
        return [BEST]
    return list(SELECTIONS if options.groups is None else DIVIDING)


def choose_bank_folder(options: Namespace, by: list[str]) -> Path | None:
    """Say where the memory is kept; None where memories are only measured.

    Raises:
        ValueError: if it is not said how the images are chosen, or there is nothing to keep.
    """
    if options.memory_size is None and not options.erase_groups:
        if options.name is not None or options.out is not None or options.learn_again:
            raise ValueError(
                "name, out and learn-again are for the memory that is kept; say how large: --size."
            )
        return None
    if len(by) > 1:
        raise ValueError("A memory of --size is kept by one selection; name one with --by.")
    if options.sizes is not None:
        raise ValueError("sizes measures several memories, and one is kept here; leave it out.")
    if options.name is not None and options.out is not None:
        raise ValueError("name and out both say where the memory is kept; give one of them.")
    if options.out is not None:
        return Path(options.out)
    name = name_kept_memory(options, by[0]) if options.name is None else options.name
    if name != Path(name).name or name in ("", ".", ".."):
        raise ValueError(f"name must be that of a folder, without / and .., got {quote(name)}.")
    return Path(options.run) / BANKS / name


def name_kept_memory(options: Namespace, by: str) -> str:
    """Name a memory by how its images were chosen and compared."""
    parts = [] if options.memory_size is None else [by, str(options.memory_size)]
    return "-".join([*parts, *(["erased"] if options.erase_groups else [])])


def read_lists(chosen: list[str] | None, option: str) -> list[str] | None:
    """Put the lines of @FILE in the place of each that is one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no line, or is no text.
    """
    if chosen is None:
        return None
    found: list[str] = []
    for one in chosen:
        if not one.startswith("@"):
            found.append(one)
            continue
        path = Path(one[1:]).expanduser()  # shells do not, after the @
        if not path.is_file():
            raise FileNotFoundError(f"{option} must name a list of stored images, no file {path}.")
        try:
            lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} must be a text in UTF-8, one image in each line.") from error
        if not any(lines):
            raise ValueError(f"{path} must name at least one stored image, it is empty.")
        found += [line for line in lines if line]
    return found
