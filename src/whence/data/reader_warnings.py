"""What Pillow and the C libraries below it say of a file beside its pixels, kept for a note."""

import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from PIL import Image

from whence.messages import shorten_text

STDERR = 2
"""The file descriptor that C libraries write their messages to."""

OF_LIBTIFF = re.compile(rb"[\w.]+: .*\.")
"""A line of libtiff: the name of one of its functions or files, and a sentence."""

_here = threading.local()
_one_at_a_time = threading.Lock()


@contextmanager
def catch_warnings() -> Iterator[None]:
    """In all threads, hand Pillow's warnings to ``listen``, and refuse images that are too large.

    Warnings that come from elsewhere, or where nobody listens, are shown as always.
    """
    with warnings.catch_warnings():  # of all threads: Pillow has no other way to say it
        warnings.filterwarnings("always", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        elsewhere = warnings.showwarning

        def keep(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            heard = getattr(_here, "heard", None)
            if heard is not None and category is UserWarning:
                heard.append(str(message))
            else:
                elsewhere(message, category, filename, lineno, file, line)

        warnings.showwarning = keep
        yield


@contextmanager
def listen() -> Iterator[list[str]]:
    """Gather what is said in this thread while a file is read, within ``catch_warnings``."""
    heard: list[str] = []
    _here.heard = heard
    try:
        yield heard
    finally:
        _here.heard = None


@contextmanager
def listen_to_libtiff(heard: list[str]) -> Iterator[None]:
    """Add what libtiff writes to the terminal to ``heard``; lines of others are written after it.

    The whole process has one such descriptor, so that one file is read at a time.
    """
    with _one_at_a_time, tempfile.TemporaryFile() as aside:
        try:
            terminal = os.dup(STDERR)
        except OSError:  # closed, as in a service: nobody would read it
            yield
            return
        with suppress(OSError, ValueError, AttributeError):  # a notebook has another stderr
            sys.stderr.flush()
        os.dup2(aside.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(terminal, STDERR)
            os.close(terminal)
            aside.seek(0)
            for line in aside.read().splitlines(keepends=True):
                if OF_LIBTIFF.fullmatch(line.strip()):
                    heard.append(line.decode(errors="replace"))
                else:
                    os.write(STDERR, line)


def describe_heard(heard: Sequence[str]) -> list[str]:
    """Join what was heard of one file to one clause, each sentence once; none for silence."""
    sentences = dict.fromkeys(" ".join(text.split()).rstrip(".") for text in heard)
    return [shorten_text("; ".join(sentences))] if sentences else []
