"""What the sub-commands' parsers share."""

import argparse
import re
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from whence.bounds import BATCH_SIZE, check_numbers
from whence.messages import quote
from whence.runs.parse import add_setting, one_sentence
from whence.runs.settings import CHECKPOINT_SECONDS, DATA_ROOT, FIELDS
from whence.runs.where import Where

PATHS = (
    *("add", "answers", "before", "beside", "concepts", "corrections", "data", "data_root"),
    *("expect", "figure", "file", "groups", "images", "junit", "morph", "out", "run", "second"),
    *("subject", "unlabelled", "vae", "weights"),
)
"""Options and arguments that name a file or a folder, or several, in whatever command."""

NO_METHOD = "none"
"""In the place of an attribution method."""

METHOD_OPTIONS = ("steps", "baseline", "memory")
"""Options that attribution methods have, and that a command takes."""


def build_parser(command: str, description: str) -> ArgumentParser:
    """Make the parser of a sub-command."""
    return ArgumentParser(
        prog=f"whence {command}",
        description=description,
        exit_on_error=False,
        formatter_class=argparse.HelpFormatter,
    )


def parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    """Parse arguments, check every number that has bounds, and write paths out.

    Raises:
        ValueError: if anything is wrong with them, in one sentence.
    """
    shown = list_typed_names(parser)
    try:
        options = parser.parse_args(arguments)
    except ArgumentError as error:
        sentence = one_sentence(str(error), shown=shown)
        unknown = sentence.removeprefix("unrecognized arguments: ")
        if unknown != sentence:
            order = (
                "" if unknown.startswith("-") else "what has no name stands before the options; "
            )
            sentence += f"; {order}{parser.prog} --help lists the options."
        elif sentence.startswith("the following arguments are required: "):
            sentence += f"; {parser.prog} --help says what they are."
        raise ValueError(sentence) from error
    check_numbers(vars(options).items(), shown=shown)
    for name, value in vars(options).items():
        if name in PATHS:
            options[name] = read_places(shown[name], value)
    return options


def list_typed_names(parser: ArgumentParser) -> dict[str, str]:
    """Map the name of each value to how it is typed: the option without its hyphens."""
    return {
        action.dest: (action.option_strings or [action.dest])[0].lstrip("-")
        for action in parser._actions
    }


def read_places(name: str, value: Any) -> Any:
    """Write a path, or each of a list, out; what is no text, such as None, stays as it is.

    Raises:
        ValueError: if a text is empty, which would be the folder that one is in.
    """
    if isinstance(value, list):
        return [read_places(name, one) for one in value]
    if value == "":
        raise ValueError(f"{name} must name a file or a folder, got ''.")
    return expand(value) if isinstance(value, str) else value


def expand(text: str) -> str:
    """Write a path out that begins with a home folder, as shells do unless ``=`` stands before it.

    >>> expand("runs/~first")
    'runs/~first'
    """
    return str(Path(text).expanduser()) if text.startswith("~") else text


def add_device(parser: ArgumentParser) -> None:
    """Add ``--device``, for commands that compute."""
    parser.add_argument(
        "--device", type=str, default=None, help="cpu or cuda; by default cuda where there is one"
    )


def add_batch_size(parser: ArgumentParser) -> None:
    """Add ``--batch-size``, for commands that answer."""
    parser.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, help=f"images encoded at once ({BATCH_SIZE})"
    )


def add_answering(parser: ArgumentParser) -> None:
    """Add where the run's own images are, how many are encoded at once, and ``--device``."""
    add_where(parser)
    add_batch_size(parser)
    add_device(parser)


def add_run(parser: ArgumentParser) -> None:
    """Add the run that a command is about."""
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")


def add_method_options(parser: ArgumentParser) -> None:
    """Add ``--target``, ``--option`` and ``--seed``, for commands that use attribution methods."""
    parser.add_argument(
        "--target",
        type=str,
        metavar="CLASS",
        help="class that is explained, by name or index; A:B asks why A rather than B, and an "
        "empty side is the answer, as in :dog (the answer)",
    )
    parser.add_argument(
        "--score",
        type=str,
        metavar="CHOICE",
        help="what is explained: logit, or, of votes (where it is the default), similarity: the "
        "log-odds by the similarities that the votes come from",
    )
    parser.add_argument(
        "--option",
        type=str,
        action="append",
        metavar="NAME=VALUE",
        help="an option of the methods, such as steps=64, for every one that has it, or of one, "
        "such as integrated_gradients.steps=64; give it once per option",
    )
    parser.add_argument("--seed", type=int, default=0, help="of what a command draws (0)")


def add_images(parser: ArgumentParser) -> None:
    """Add the run and its images, files or test images, for commands that show answers."""
    add_run(parser)
    parser.add_argument("images", type=str, nargs="*", metavar="IMAGE", help="files or folders")
    parser.add_argument(
        "--test",
        type=int,
        nargs="+",
        metavar="INDEX",
        help="images of the run's own test set, by index, in place of files",
    )


def add_out(parser: ArgumentParser, name: str) -> None:
    """Add where a page goes, by default a file of the run's name, for commands that write one."""
    parser.add_argument(
        "--out", type=str, metavar="FILE", help=f"by default {name}, named after the run, here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def add_where(parser: ArgumentParser) -> None:
    """Add where the run's own images are, for commands that may need them."""
    parser.add_argument(
        "--data-root",
        type=str,
        metavar="FOLDER",
        help="where the run's own images are now, if not where they were: the folder of "
        "downloaded datasets, or the image folder; they are known by their pixels",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch files of a named dataset that are not there, "
        f"to --data-root, by default {DATA_ROOT}",
    )


def read_where(options: Namespace) -> Where:
    """Read where images are, and where the user lets missing ones be downloaded to.

    That is never the folder that the settings of a run name, which may be another person's.
    """
    root = None if options.data_root is None else Path(options.data_root)
    if not options.download:
        return Where(root)
    return Where(root, Path(DATA_ROOT) if root is None else root)


def add_data(parser: ArgumentParser) -> None:
    """Add other images than the run's own, for commands that measure a run."""
    parser.add_argument(
        "--data",
        type=str,
        help="other images: a dataset's name, or a folder with one folder per class or a table of "
        "labels, of which all are measured (only those for the test where they are divided)",
    )
    parser.add_argument(
        "--map",
        type=str,
        action="append",
        metavar="OLD=NEW",
        help="a class of --data, and the run's class that its images are of; give it once per "
        "class that is called otherwise",
    )
    for role in ("path", "label", "split"):
        add_setting(parser.add_argument, FIELDS[f"{role}_column"])


def add_groups(parser: ArgumentParser, text: str) -> None:
    """Add the table of groups, and its column, for commands that tell groups apart."""
    parser.add_argument("--groups", type=str, metavar="FILE", help=text)
    parser.add_argument(
        "--group-column",
        type=str,
        metavar="NAME",
        help="the column of the table that names the group (group)",
    )


def read_map(options: Namespace) -> dict[str, str]:
    """Read which classes of other images are which of the run.

    Raises:
        ValueError: if one is not of the form OLD=NEW, comes twice, or there are no other images.
    """
    renamed: dict[str, str] = {}
    for pair in options.map or ():
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise ValueError(f"map must be OLD=NEW, got {quote(pair)}.")
        if renamed.setdefault(old, new) != new:
            raise ValueError(f"map must name {quote(old)} once, it leads to two classes.")
    if renamed and options.data is None:
        raise ValueError("map is for the classes of other images; name them with --data.")
    return renamed


def read_columns(options: Namespace) -> dict[str, str]:
    """Read which columns a table of other images has, by what they say.

    Raises:
        ValueError: if there are no other images.
    """
    found = {role: getattr(options, f"{role}_column") for role in ("path", "label", "split")}
    named = {role: name for role, name in found.items() if name is not None}
    if named and options.data is None:
        raise ValueError(
            f"{next(iter(named))}-column is for a table of other images; name it with --data."
        )
    return named


def add_training(parser: ArgumentParser) -> None:
    """Add what every training takes beside its settings: checkpoints, ``--json``, the device."""
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=CHECKPOINT_SECONDS,
        metavar="X",
        help=f"least time between checkpoints (default {CHECKPOINT_SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    add_device(parser)


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
        raise ValueError(f"device must be cpu or cuda, got {quote(name)}.")


def given(namespace: Namespace) -> dict[str, Any]:
    """Keep the options that were given, by name."""
    return {name: value for name, value in vars(namespace).items() if value is not None}
