"""Files that are whole or absent: written under another name first.

No torch here, so that the command line can write without loading it.
"""

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = "whence-" + hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
"""In the temporary names of this machine: others, on a shared disk, have processes of their own."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and flush their names to disk."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        flush_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing may be written to, before long work ends there.

    Raises:
        PermissionError: naming it.
    """
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to; choose another place.")


def write_whole(path: Path, *content: bytes | memoryview) -> None:
    """Write a file, piece after piece, so that a reader, or a crash, sees all of it or none of it.

    The content goes to a temporary name beside ``path``, is flushed to disk, and takes the name
    last. A failure (a full disk, say) leaves what was there before. A writer that is killed leaves
    its temporary file, which the next one in the same folder and on the same machine removes.
    """
    make_folder(path.parent)
    remove_abandoned(path.parent)
    temporary = path.with_name(f".{path.name}.{MARK}.{os.getpid()}.tmp")
    try:
        try:
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:  # a new file, never one that a link points to
                for piece in content:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the user knows the other name
            error.filename = str(path)
        raise
    flush_folder(path.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of this machine's writers that have ended; others may write."""
    for path in folder.iterdir():
        match = re.fullmatch(rf"\..+\.{MARK}\.(\d{{1,9}})\.tmp", path.name)
        if match and not is_running(int(match[1])):
            path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Say whether a process of this machine is there, as far as can be told."""
    if os.name != "posix":
        return True  # elsewhere signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers; nobody may be writing to the folder."""
    for path in folder.iterdir():
        if is_leftover(path):
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Say whether a name is one of ``write_whole``'s temporary names."""
    return re.fullmatch(r"\..+\.\d+\.tmp", path.name) is not None


def flush_folder(folder: Path) -> None:
    """Flush the folder's list of names to disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot
            raise
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object; NaN and infinity become errors, not invalid JSON."""
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
