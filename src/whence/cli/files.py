"""Files that commands write: where they may stand."""

from collections.abc import Sequence
from pathlib import Path

from whence.storage.whole_files import check_writable


def choose_files(out: str | None, run: str, ending: str, *, to_screen: bool) -> list[Path]:
    """Name the file that will be written.

    Args:
        out: the path that was asked for.
        run: folder that the file is named after, if none was asked for.
        ending: what follows the name of the run.
        to_screen: without a path, the answer goes to the screen, and no file is written.
    """
    if out:
        return [Path(out)]
    return [] if to_screen else [Path(f"{Path(run).resolve().name}{ending}")]


def refuse_existing(files: Sequence[Path], *, force: bool, option: str = "--out") -> None:
    """Refuse to write where something is.

    Args:
        files: that are to be written.
        force: overwrite ordinary files.
        option: or argument that names the file.

    Raises:
        FileExistsError: naming it.
        PermissionError: if nothing may be written there.
    """
    for path in files:
        there = next((one for one in (path, *path.parents) if one.exists()), path)
        if path.is_dir():
            raise FileExistsError(f"{path} is a folder; name a file with {option}.")
        if there != path and not there.is_dir():
            raise FileExistsError(f"{path} must be in a folder, but {there} is a file.")
        if there == path and path.exists() and not path.is_file():
            raise FileExistsError(f"{path} is no ordinary file; choose another {option}.")
        check_writable(there if there.is_dir() else there.parent)
        if not force and (path.exists() or path.is_symlink()):
            raise FileExistsError(
                f"{path} is there already; choose another {option}, or add --force to overwrite it."
            )


def check_folder_can_be(folder: Path) -> None:
    """Refuse a name under which there can be no folder that is written to, before long work.

    Raises:
        FileExistsError: if there is a file.
        PermissionError: if nothing may be written there.
    """
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    if not there.is_dir():
        raise FileExistsError(f"{folder} must be a folder, but {there} is a file.")
    check_writable(there)


def encode_page(text: str) -> bytes:
    r"""Encode what is to be written; bytes of file names that are not UTF-8 become Python escapes.

    >>> encode_page("caf\udce9.png")
    b'caf\\udce9.png'
    """
    return text.encode("utf-8", "backslashreplace")
