"""Files that are whole or absent when written, and that are trusted with nothing when read."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

JSON_LIMIT = 16 * 2**20
"""The largest JSON or TOML file, and the largest header of a tensor file, in bytes."""

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "C64": torch.complex64,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
"""The types of tensor that are written and read, by their names in safetensors."""


class Layout(NamedTuple):
    """Shape and type of one tensor; all that is known of it before it is read."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.shape} {str(self.dtype).removeprefix('torch.')}"


def layouts_of(tensors: Mapping[str, Tensor]) -> dict[str, Layout]:
    """Return shape and type of every tensor."""
    return {name: Layout(tuple(t.shape), t.dtype) for name, t in tensors.items()}


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and flush their names to disk."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        flush_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or none of it.

    The content goes to a temporary name beside ``path``, is flushed to disk, and takes the name
    last. A failure (a full disk, say) leaves what was there before. A writer that is killed leaves
    its temporary file, which ``remove_leftovers`` finds.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:  # a new file, never one that a link points to
            file.write(content)
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


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors and return the file's SHA-256.

    Tensors that share memory (tied weights) are written once for each name.
    """
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        laid_out = tensor.detach().cpu().contiguous()
        place = laid_out.untyped_storage().data_ptr()
        apart[name] = laid_out.clone() if place in seen else laid_out
        seen.add(place)
    content = to_safetensors(apart)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


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


def read_layouts(path: Path) -> dict[str, Layout]:
    """Read names, shapes and types from the header of a safetensors file; loads no tensor.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is a link, not a whole safetensors file, or holds unusual types.
    """
    check_plain(path)
    with path.open("rb") as file:
        if int.from_bytes(file.read(8), "little") > JSON_LIMIT:
            raise ValueError(
                f"{path} must be a safetensors file, it is damaged (header too large)."
            )
    try:
        with safe_open(path, framework="pt") as tensors:
            parts = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118
            found = {name: (part.get_shape(), part.get_dtype()) for name, part in parts.items()}
    except SafetensorError as error:
        raise ValueError(f"{path} must be a safetensors file, it is damaged ({error}).") from error
    for name, (_, dtype) in found.items():
        if dtype not in DTYPES:
            raise ValueError(f"{path} must hold ordinary tensors, {name} is of type {dtype}.")
    return {name: Layout(tuple(shape), DTYPES[dtype]) for name, (shape, dtype) in found.items()}


def read_tensors(path: Path, wanted: Mapping[str, Layout]) -> dict[str, Tensor]:
    """Read a safetensors file that must hold exactly the tensors declared.

    Args:
        path: the file.
        wanted: shape and type of every tensor that is expected; compared with the header before
            any memory is taken.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if names, shapes or types differ, or a tensor holds NaN or infinity.
    """
    check_layouts(path, read_layouts(path), wanted)
    with safe_open(path, framework="pt") as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in wanted}
    check_finite(str(path), tensors)
    return tensors


def check_finite(where: str, tensors: Mapping[str, Tensor], *, hint: str = "") -> None:
    """Refuse tensors with NaN or infinity.

    Raises:
        ValueError: naming ``where`` and the tensor, with ``hint`` before the full stop.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{where} must hold finite numbers, {name} has NaN or infinity{hint}.")


def check_layouts(
    path: Path, found: Mapping[str, Layout], wanted: Mapping[str, Layout], *, hint: str = ""
) -> None:
    """Refuse a file whose tensors are not those declared.

    Raises:
        ValueError: naming the first tensor that is missing, of another shape or type, or extra,
            with ``hint`` in place of the full stop.
    """
    end = hint or "."
    for name, layout in wanted.items():
        if name not in found:
            raise ValueError(f"{path} must hold {name} {layout}, it is missing{end}")
        if found[name] != layout:
            raise ValueError(f"{path} must hold {name} {layout}, got {found[name]}{end}")
    extra = sorted(found.keys() - wanted.keys())
    if extra:
        raise ValueError(f"{path} must not hold {extra[0]}, which the model does not have{end}")
