"""Names of files and classes: which are images, and the same in every locale and spelling."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from whence.messages import count, quote

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".png", ".gif", ".webp", ".avif"),
    *(".tif", ".tiff", ".bmp", ".dib", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""File name endings, in lower case, that make a file an image."""

LEFT_BEHIND = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
"""What operating systems leave in folders."""


def is_hidden(name: str) -> bool:
    """Say whether folders are read as if a file or folder of that name were not there.

    >>> is_hidden("._a.png"), is_hidden("__MACOSX"), is_hidden("a.png")
    (True, True, False)
    """
    return name.startswith(".") or name in LEFT_BEHIND


def is_left_behind(name: str) -> bool:
    """Say whether a file or folder is nobody's own: what an operating system left there.

    >>> is_left_behind("._a.png"), is_left_behind(".my.png")
    (True, False)
    """
    return name.startswith("._") or name == ".DS_Store" or name in LEFT_BEHIND


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


def list_images(folder: Path) -> list[Path]:
    """List the image files in a folder and in those below it, sorted, without hidden ones.

    Links to folders are not followed; a link that leads nowhere is listed, a pipe is not.

    Raises:
        PermissionError: if a folder may not be read.
    """
    found = [path for path in walk_files(folder) if path.name.lower().endswith(SUFFIXES)]
    return sorted(path for path in found if path.is_file() or path.is_symlink())


def walk_files(folder: Path) -> Iterator[Path]:
    """Find whatever is no folder in a folder and in those below it, without what is hidden."""
    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not is_hidden(name)]  # os.walk goes on from this
        yield from (Path(place, name) for name in files if not is_hidden(name))


def note_left_out(folder: Path) -> list[str]:
    """Say which files of a folder ``list_images`` leaves out, if any."""
    others = list_others(folder)
    return [f"Of {folder}, {say_other_endings(others)}."] if others else []


def describe_no_image(folder: Path) -> str:
    """Say that a folder holds no image, and what it holds."""
    others = list_others(folder)
    return f"{folder} holds no image{': ' + say_other_endings(others) if others else ''}."


def list_others(folder: Path) -> list[str]:
    """List the files in a folder and below whose names do not end as an image's, sorted."""
    others = [path for path in walk_files(folder) if not path.name.lower().endswith(SUFFIXES)]
    return sorted(read_name(path.relative_to(folder).as_posix()) for path in others)


def say_other_endings(names: Sequence[str]) -> str:
    """Say in a clause that files are left out because of their endings.

    >>> say_other_endings(["a.heic"])
    "1 file is left out ('a.heic'), named unlike images that are read (.jpg, .png, .tif and others)"
    """
    verb, first = ("is", "") if len(names) == 1 else ("are", "first: ")
    return (
        f"{count(len(names), 'file')} {verb} left out ({first}{quote(names[0])}), named unlike "
        "images that are read (.jpg, .png, .tif and others)"
    )


def fail(error: OSError) -> NoReturn:
    """Let a folder that cannot be read end the search."""
    raise error
