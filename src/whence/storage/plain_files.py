"""Files of bytes and JSON: whole or absent when written, trusted with nothing when read.

No torch here, so that the command line can read settings without loading it.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JSON_LIMIT = 16 * 2**20
"""The largest JSON or TOML file, and the largest header of a tensor file, in bytes."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and flush their names to disk."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        flush_folder(path.parent)


def write_whole(path: Path, *content: bytes | memoryview) -> None:
    """Write a file, piece after piece, so that a reader, or a crash, sees all of it or none of it.

    The content goes to a temporary name beside ``path``, is flushed to disk, and takes the name
    last. A failure (a full disk, say) leaves what was there before. A writer that is killed leaves
    its temporary file, which ``remove_leftovers`` finds.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:  # a new file, never one that a link points to
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write does not name its file
        raise
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


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


def read_small(path: Path) -> bytes:
    """Read a small file that must be a plain file, not a link, and within ``JSON_LIMIT``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is a link, not a file, or too large.
    """
    check_plain(path)
    with path.open("rb") as file:
        content = file.read(JSON_LIMIT + 1)
    if len(content) > JSON_LIMIT:
        raise ValueError(
            f"{path} must have at most {JSON_LIMIT} bytes, it has more; is it damaged?"
        )
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a small plain file.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is not a JSON object, names a key twice, or holds NaN or infinity.
    """
    content = read_small(path)
    try:
        found = json.loads(content, object_pairs_hook=refuse_twice, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON, it is damaged ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(found).__name__}.")
    return found


def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refusing a key that comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def refuse_constant(name: str) -> float:
    """Refuse NaN and infinity, which JSON does not have."""
    raise ValueError(f"{name} is not JSON")


def check_plain(path: Path) -> None:
    """Refuse links and everything else that is not a plain file."""
    if path.is_symlink():
        raise ValueError(f"{path} must be a plain file, it is a link.")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing.")
    if not path.is_file():
        raise ValueError(f"{path} must be a plain file, it is not.")


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
