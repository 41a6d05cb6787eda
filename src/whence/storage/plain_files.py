"""Files of bytes and JSON that are trusted with nothing when they are read.

No torch here, so that the command line can read settings without loading it.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from whence.messages import quote

JSON_LIMIT = 16 * 2**20
"""The largest JSON or TOML file, and the largest header of a tensor file, in bytes."""


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
        found = json.loads(
            content,
            object_pairs_hook=refuse_twice,
            parse_constant=refuse_constant,
            parse_float=parse_finite,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON, it is damaged ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(found).__name__}.")
    return found


def read_mark(path: Path, newest: int) -> dict[str, Any]:
    """Read the JSON that marks a folder as finished, of a format up to the newest known.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is not a JSON object, or names no format or a newer one.
    """
    about = read_json(path)
    found = about.get("format")
    if type(found) is not int or found < 1:
        raise ValueError(f"{path} must name its format, got {quote(found)}; it is damaged.")
    if found > newest:
        raise ValueError(
            f"{path.parent} was written by a newer whence (format {found}, this one reads "
            f"{newest}); upgrade whence to read it."
        )
    return about


def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refusing a key that comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def refuse_constant(name: str) -> float:
    """Refuse NaN and infinity, which JSON does not have."""
    raise ValueError(f"{name} is not JSON")


def parse_finite(text: str) -> float:
    """Read a number, refusing one that is too large to be finite, such as 1e999."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


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
