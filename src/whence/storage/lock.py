"""A folder that one process at a time writes to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from whence.storage.whole_files import make_folder

LOCK = ".lock"
"""The file in a folder that the process which writes there holds; it stays when that one ends."""


ENDLESS = -1
"""For ``FileLock``, a wait without end."""


@contextmanager
def hold(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Make a folder and be the only one who writes to it.

    Args:
        folder: made if it is not there.
        wait: for another process that is writing to it, rather than to refuse.

    Raises:
        FileExistsError: if another process is writing to it, or its lock is no plain file.
    """
    make_folder(folder)
    path = folder / LOCK
    if path.is_symlink():
        raise FileExistsError(f"{path} must be a plain file, it is a link.")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} must be a plain file, it is not.")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=ENDLESS if wait else 0)
    except Timeout as error:
        raise FileExistsError(
            f"{folder} is being written to by another process; "
            "wait for it, or choose another --out."
        ) from error
    try:
        yield
    finally:
        lock.release()
