"""Names of files and classes: the same on every machine, in every locale and spelling."""

import os
import unicodedata
from pathlib import Path


def read_name(entry: str) -> str:
    """Read a name that the system gave as UTF-8, whatever the locale of this process.

    Bytes that are not UTF-8 stay as Python keeps them, each a lone surrogate.

    >>> read_name("photo.png")
    'photo.png'
    """
    return os.fsencode(entry).decode("utf-8", "surrogateescape")


def find_path(root: Path, name: str) -> Path:
    """Return the path of a file, or folder, below ``root`` that ``read_name`` read.

    >>> find_path(Path("photos"), "cat/1.png").as_posix()
    'photos/cat/1.png'
    """
    return root / os.fsdecode(name.encode("utf-8", "surrogateescape"))


def compose(name: str) -> str:
    r"""Write a name with composed characters: an umlaut is one, not a letter and two dots.

    Some systems and archives write names in the one way, others in the other.

    >>> compose("Ka\u0308se") == "K\u00e4se"
    True
    """
    return unicodedata.normalize("NFC", name)
