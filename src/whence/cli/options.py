"""What the sub-commands' parsers share."""

import argparse
import re
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from whence.experiments.parse import one_sentence


def build_parser(command: str, description: str) -> ArgumentParser:
    """Make the parser of a sub-command."""
    return ArgumentParser(
        prog=f"whence {command}",
        description=description,
        exit_on_error=False,
        formatter_class=argparse.HelpFormatter,
    )


def parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    """Parse arguments; what is wrong with them becomes one sentence.

    Raises:
        ValueError: with that sentence.
    """
    try:
        return parser.parse_args(arguments)
    except ArgumentError as error:
        sentence = one_sentence(str(error))
        if sentence.startswith("unrecognized arguments"):
            sentence += f"; {parser.prog} --help lists the options."
        raise ValueError(sentence) from error


def add_device(parser: ArgumentParser) -> None:
    """Add ``--device``, for commands that compute."""
    parser.add_argument(
        "--device", type=str, default=None, help="cpu or cuda; by default cuda where there is one"
    )


def choose_device(name: str | None) -> str:
    """Pick the device that was asked for, or the best there is.

    Raises:
        ValueError: if the name is unknown, or there is no such device here.
    """
    check_device(name)
    if name is not None and name.startswith("cpu"):
        return name
    import torch  # late: a wrong name needs no torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if (torch.device(name).index or 0) >= torch.cuda.device_count():
        raise ValueError(f"No GPU was found for --device {name}; leave it out to use the CPU.")
    return name


def check_device(name: str | None) -> None:
    """Refuse a device that whence does not know, wherever it runs; loads no torch.

    Raises:
        ValueError: if the name is neither cpu nor cuda, nor one of them with a number.
    """
    if name is not None and re.fullmatch("(cpu|cuda)(:(0|[1-9][0-9]?))?", name) is None:
        raise ValueError(f"device must be cpu or cuda, got {name!r}.")


def given(namespace: Namespace) -> dict[str, Any]:
    """Keep the options that were given, by name."""
    return {name: value for name, value in vars(namespace).items() if value is not None}
