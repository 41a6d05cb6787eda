"""What happens when the files of a dataset are not there: download them, or say what to do."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError


def fetch(
    name: str, fetcher: Callable[[], object], *, download: bool, expected: Path, way_out: str
) -> None:
    """Download files that are not there.

    Args:
        name: the dataset.
        fetcher: downloads into the right place, and does nothing else.
        download: whether the network may be used.
        expected: a file that would have been used.
        way_out: what a person can do, as the end of a sentence.

    Raises:
        FileNotFoundError: if the network may not be used, or there is none.
        ValueError: if something else is where the file belongs, such as a named pipe.
    """
    check_place(expected)
    if not download:
        raise missing_file(
            name, expected, "download is switched off (--download allows it)", way_out
        )
    created = [folder for folder in expected.absolute().parents if not folder.exists()]
    try:
        fetcher()
    except (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError) as error:
        for folder in created:  # the innermost first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        lines = str(error).strip().splitlines() or [type(error).__name__]
        why = f"downloading it failed ({lines[-1].strip()})"
        raise missing_file(name, expected, why, way_out) from error


def check_place(expected: Path) -> None:
    """Refuse what is no file where a file belongs; a pipe would be waited for.

    Raises:
        ValueError: if something is there; what is not there is not refused.
    """
    if expected.exists() and not expected.is_file():
        raise ValueError(f"{expected.absolute()} must be a plain file, it is not; remove it.")


def missing_file(name: str, expected: Path, why: str, way_out: str) -> FileNotFoundError:
    """Word the error: which file is missing and where, why it stays so, and what to do."""
    return FileNotFoundError(
        f"{name} needs {expected.absolute()}, which is not there, and {why}; {way_out}."
    )
