"""Files that are whole or absent when written, and that are trusted with nothing when read."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

JSON_LIMIT = 16 * 2**20
"""The largest JSON or TOML file that is read, in bytes."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or none of it.

    The content goes to a temporary name beside ``path``, is flushed to disk, and takes the name
    last. A failure (a full disk, say) leaves what was there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the folder's list of names to disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object; NaN and infinity become errors, not invalid JSON."""
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors and return the file's SHA-256."""
    content = to_safetensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def read_small(path: Path) -> bytes:
    """Read a small file that must be a plain file, not a link, and within ``JSON_LIMIT``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is a link, not a file, or too large.
    """
    check_plain(path)
    if path.stat().st_size > JSON_LIMIT:
        raise ValueError(
            f"{path} must be under {JSON_LIMIT} bytes, got {path.stat().st_size}; it is damaged."
        )
    return path.read_bytes()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a small plain file.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is not a JSON object.
    """
    try:
        content = json.loads(read_small(path))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON, it is damaged ({error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(content).__name__}.")
    return content


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


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read names and shapes from the header of a safetensors file; loads no tensor.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is a link or not a whole safetensors file.
    """
    check_plain(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} must be a safetensors file, it is damaged ({error}).") from error


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read a safetensors file that must hold exactly the tensors declared.

    Args:
        path: the file.
        shapes: the name and shape of every tensor that is expected; checked against the header
            before any memory is taken.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if names or shapes differ, or a float tensor holds NaN or infinity.
    """
    found = read_shapes(path)
    if found != dict(shapes):
        raise ValueError(f"{path} {describe_difference(found, shapes)}.")
    with safe_open(path, framework="pt") as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in shapes}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path} must hold finite numbers, {name} has NaN or infinity.")
    return tensors


def describe_difference(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> str:
    """Say in one clause how the tensors of a file differ from those declared."""
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        return f"must hold {missing[0]} {wanted[missing[0]]}, it is missing"
    extra = sorted(found.keys() - wanted.keys())
    if extra:
        return f"must not hold {extra[0]}, which the model does not have"
    name = next(name for name in wanted if found[name] != wanted[name])
    return f"must hold {name} with shape {wanted[name]}, got {found[name]}"
