"""Files of tensors, beside those of bytes and JSON: whole when written, checked when read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from whence.storage.plain_files import JSON_LIMIT, check_plain
from whence.storage.whole_files import write_whole

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


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors and return the file's SHA-256.

    The bytes go from the tensors to the file, not by way of a copy of the whole file. Tensors that
    share memory (tied weights) are written once for each name.

    Raises:
        ValueError: if a tensor is of a type that ``read_layouts`` would refuse.
    """
    content = to_safetensors(path, tensors)
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    write_whole(path, *content)
    return digest.hexdigest()


def to_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> list[bytes | memoryview]:
    """Lay tensors out as the pieces of a safetensors file: length, header, numbers.

    The format is little endian, as PyTorch's machines are. Large numbers come first, so that each
    tensor begins at a multiple of their size.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, pieces, end = {}, [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name].detach().cpu()
        if tensor.dtype not in names:
            raise ValueError(f"{path} must hold ordinary tensors, {name} is {tensor.dtype}.")
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        pieces.append(tensor.flatten().view(torch.uint8).numpy().data)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return [len(encoded).to_bytes(8, "little"), encoded, *pieces]


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
            # what safe_open gives has keys, but cannot be gone through itself
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
