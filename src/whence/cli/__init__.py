"""The command line: one file per sub-command, imported only when it is used."""

import errno
import io
import os
import sys
from collections.abc import Sequence

from whence.cli.plain_text import escape
from whence.freed_memory import keep_freed_memory
from whence.messages import describe_failure
from whence.table import Table

COMMANDS = Table(
    "command",
    {
        "demo": "whence.cli.demo:demo",
        "train": "whence.cli.train:train",
        "train-vae": "whence.cli.train_vae:train_vae",
        "evaluate": "whence.cli.evaluate:evaluate",
        "predict": "whence.cli.predict:predict",
        "explain": "whence.cli.explain:explain",
        "attribute": "whence.cli.attribute:attribute",
        "visualise": "whence.cli.visualise:visualise",
        "morph": "whence.cli.morph:morph",
        "report": "whence.cli.report:report",
        "view": "whence.cli.view:view",
        "memory": "whence.cli.memory:memory",
        "faithfulness": "whence.cli.faithfulness:faithfulness",
        "compare": "whence.cli.compare:compare",
        "check": "whence.cli.check:check",
        "export": "whence.cli.export:export",
        "table": "whence.cli.table:table",
        "edit": "whence.cli.edit:edit",
        "encoders": "whence.cli.encoders:encoders",
        "study": "whence.cli.study:study",
    },
)

SUMMARIES = {
    "demo": "train, evaluate and show evidence on small digits, in about a minute",
    "train": "train on a dataset, an image folder or a settings file",
    "train-vae": "train the autoencoder that morphing needs, on the same images",
    "evaluate": "measure the accuracy of a run, or of a folder of runs",
    "predict": "answer for images, with the training images each answer came from",
    "explain": "write a page with the evidence behind answers, relevance and doubts",
    "attribute": "write a page with several attribution methods side by side",
    "visualise": "write a page with what units of a network look for",
    "morph": "write a page with the way from another class to an answer, by an autoencoder",
    "report": "write a page about a whole run: accuracy, trust, images to look at",
    "view": "show a run in the browser: ask, see the evidence, change it, see what follows",
    "memory": "measure smaller memories of a run, and keep one",
    "faithfulness": "measure how far attribution methods can be trusted on a run",
    "compare": "write a page on what changed between two runs, and on drift",
    "check": "check that a run still does what a file expects of it, for CI",
    "export": "write a run as one file that answers without whence (ONNX)",
    "table": "run and print a table of the Memory Wrap paper, ours beside theirs",
    "edit": "correct stored labels, take images out or add some, without training",
    "encoders": "compare pretrained networks and sizes of images on yours, before any training",
    "study": "test a published claim, ours beside what was published",
}

RESUME = "Stopped; add --resume to go on from the newest checkpoint."
WAYS_ON = {
    "train": RESUME,
    "train-vae": RESUME,
    "table": RESUME,
    "faithfulness": "Stopped; the same command goes on with what is not measured yet.",
    "demo": "Stopped; the same command goes on from the newest checkpoint.",
    "study": "Stopped; with --out the same command goes on with the parts that are not done yet.",
}
"""What to do after Ctrl-C, for the commands that can go on."""

OWN_LINE = (ValueError, FileNotFoundError, FileExistsError, PermissionError, ConnectionError)
"""Errors whose message is for the user: printed as one line, exit code 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Returns:
        0, or 1 if some images could not be read, or 2 after one sentence about what was wrong with
        the input, or 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # no result is lost to a character
        sys.stdout.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return 0
    if given[0] == "--version":
        from importlib.metadata import version  # late: it takes a tenth of the start

        print(f"whence {version('whence')}")
        return 0
    return call(given[0], [spell(argument) for argument in given[1:]])


def call(command: str, arguments: list[str]) -> int:
    """Run a command; what is wrong with its input becomes one sentence, the rest is raised."""
    from whence.cli.traces import without_compiler_folder  # late: the help has no use for it

    keep_freed_memory()
    try:
        with without_compiler_folder():
            code: int | None = COMMANDS.find(command)(arguments)
        sys.stdout.flush()  # here, not at exit, so that a closed pipe is noticed
    except BrokenPipeError:  # the reader, head for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OWN_LINE as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not ours
            place = error.filename or "a file"
            return complain(f"{place} cannot be read or written ({describe_failure(error)}).")
        return complain(str(error))
    except ModuleNotFoundError as error:
        if error.name is not None:  # ours, about an optional package, name no module
            raise
        return complain(str(error))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return complain(f"No space left on the disk of {error.filename or 'the run folder'}.")
        if error.filename is None:
            raise
        return complain(f"{error.strerror}: {error.filename}.")
    except KeyboardInterrupt as stop:
        print(str(stop) or WAYS_ON.get(command, "Stopped."), file=sys.stderr)
        return 130
    return code or 0


def overview() -> str:
    """List the commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {SUMMARIES[name]}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: whence COMMAND ...",
            "",
            "Image classifiers that show the training images every answer was computed from.",
            "",
            "commands:",
            *lines,
            "",
            "whence COMMAND --help explains the options of one command; whence --version.",
        ]
    )


def complain(sentence: str) -> int:
    """Print one sentence to stderr and return exit code 2."""
    print(f"whence: {escape(' '.join(sentence.split()))}", file=sys.stderr)
    return 2


def spell(argument: str) -> str:
    """Accept ``--train_examples`` for ``--train-examples``."""
    name, equals, value = argument.partition("=")
    if not name.startswith("--"):
        return argument
    return name.replace("_", "-") + equals + value
