"""What commands share that are asked about images of a run and write what they found."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jsonargparse import ArgumentParser, Namespace

from whence.cli.files import choose_files, refuse_existing
from whence.cli.images import find_images
from whence.cli.options import (
    add_batch_size,
    add_device,
    add_images,
    add_out,
    add_where,
    check_device,
    choose_device,
)


class CommandPlan(NamedTuple):
    """What is known before anything is computed."""

    files: list[Path]  # that are written; none prints the answer
    paths: list[Path]  # of the images; none asks about images of the test set
    device: str


def add_asked(parser: ArgumentParser, out: str) -> None:
    """Add run, images, where they are, and the file, which by default is ``out``."""
    add_images(parser)
    add_where(parser)
    add_out(parser, out)
    add_batch_size(parser)
    add_device(parser)


def find_asked(
    options: Namespace,
    ending: str,
    *,
    to_screen: bool,
    split: Callable[[Path], list[Path]] | None = None,
) -> CommandPlan:
    """Find files, images and the device, so that what cannot be is said before the model is read.

    Args:
        options: of the command, checked but for these.
        ending: what follows the name of the run in the name of the file.
        to_screen: without a path, the answer goes to the screen.
        split: names the files that take the place of the one that was asked for.

    Raises:
        ValueError: if there is no such device.
        FileExistsError: if something is where a file would be.
        FileNotFoundError: if an image is not there.
    """
    check_device(options.device)
    files = choose_files(options.out, options.run, ending, to_screen=to_screen)
    if split is not None:
        files = [part for one in files for part in split(one)]
    refuse_existing(files, force=options.force)
    paths = find_images(options.images)
    return CommandPlan(files, paths, choose_device(options.device))
