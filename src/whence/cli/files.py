"""Files that commands write: where they may stand."""

from collections.abc import Sequence
from pathlib import Path


def refuse_existing(files: Sequence[Path], *, force: bool) -> None:
    """Refuse to write where something is.

    Raises:
        FileExistsError: naming it.
    """
    for path in files:
        there = next((one for one in (path, *path.parents) if one.exists()), path)
        if path.is_dir():
            raise FileExistsError(f"{path} is a folder; name a file with --out.")
        if there != path and not there.is_dir():
            raise FileExistsError(f"{path} must be in a folder, but {there} is a file.")
        if there == path and path.exists() and not path.is_file():
            raise FileExistsError(f"{path} is no ordinary file; choose another --out.")
        if not force and (path.exists() or path.is_symlink()):
            raise FileExistsError(
                f"{path} is there already; choose another --out, or add --force to overwrite it."
            )


def encode_page(text: str) -> bytes:
    r"""Encode what is to be written; bytes of file names that are not UTF-8 become Python escapes.

    >>> encode_page("caf\udce9.png")
    b'caf\\udce9.png'
    """
    return text.encode("utf-8", "backslashreplace")
