"""Files of parameters, in the ways that people write them; nothing in them is run."""

import argparse
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from whence.messages import shorten_text

AVERAGED = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema"),
    "teacher",
)
"""Entries of checkpoints, and prefixes of names, that hold averages over the training's steps."""

CONTAINERS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "encoder")
"""Entries of checkpoints that hold the parameters as they are at the last step."""

UNREADABLE = (  # what the restricted unpickler and the archive reader raise on a bad file
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)


@dataclass(frozen=True)
class StateDict:
    """Named tensors of a file.

    Attributes:
        tensors: by name, as they stand there.
        entry: of the checkpoint, that holds them; None where they stand by themselves.
        averaged: whether that entry holds averages over steps of the training.
    """

    tensors: dict[str, Tensor]
    entry: str | None = None
    averaged: bool = False


def read_pytorch_file(path: Path) -> Any:
    """Read a file that ``torch.save`` wrote, refusing everything but tensors and plain values.

    The options of a command line (``argparse.Namespace``), which many training scripts save beside
    the parameters, are plain values too.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it holds anything that would have to be run, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a file, there is none.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} must be a whole PyTorch file of tensors and plain values; reading anything "
            "else could run code hidden in it. Save it again with "
            "torch.save(model.state_dict(), FILE) or as .safetensors."
        ) from error


def read_state_dict(path: Path) -> StateDict:
    """Read named tensors from a .safetensors, .pt or .pth file.

    A checkpoint may hold them in an entry, of which ``AVERAGED`` are preferred to ``CONTAINERS``;
    an entry of another name is taken if it is the only one with named tensors.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if the ending is another one, or the file holds no named tensors or is unsafe.
    """
    if path.suffix in (".pt", ".pth"):
        content = read_pytorch_file(path)
    elif path.suffix != ".safetensors":
        raise ValueError(f"weights must be a .safetensors, .pt or .pth file, got {path}.")
    elif not path.is_file():
        raise FileNotFoundError(f"{path} must be a file, there is none.")
    else:
        try:
            content = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} must be a whole safetensors file ({error}).") from error
    entry = find_entry(content)
    if entry is None:
        return StateDict(only_tensors(content, path))
    inner = content[entry]
    deeper = find_entry(inner)  # {"model": {"state_dict": ...}}
    tensors = only_tensors(inner if deeper is None else inner[deeper], path)
    return StateDict(tensors, entry, averaged=entry in AVERAGED or deeper in AVERAGED)


def find_entry(content: object) -> str | None:
    """Name the entry of a checkpoint that holds the parameters; None if they stand at the top."""
    if not isinstance(content, Mapping):
        return None
    inner = [name for name, value in content.items() if isinstance(value, Mapping)]
    known = [name for name in (*AVERAGED, *CONTAINERS) if name in inner and content[name]]
    if known:
        return known[0]
    full = [name for name in inner if isinstance(name, str) and has_tensors(content[name])]
    return full[0] if len(full) == 1 and not has_tensors(content) else None


def has_tensors(content: Mapping[Any, Any]) -> bool:
    """Say whether a mapping holds named tensors itself."""
    return any(isinstance(n, str) and isinstance(t, Tensor) for n, t in content.items())


def only_tensors(content: object, path: Path) -> dict[str, Tensor]:
    """Keep the named tensors of a mapping, checked to be ordinary ones.

    Raises:
        ValueError: if there are none, or one is sparse, quantised, without values or not finite.
    """
    entries = content.items() if isinstance(content, Mapping) else ()
    tensors = {
        name: value.detach()
        for name, value in entries
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise ValueError(
            f"{path} must hold named tensors (a state dict), it holds {describe(content)}."
        )
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{path} must hold ordinary tensors, {name} is of another kind.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path} must hold finite numbers, {name} has NaN or infinity.")
    return tensors


def describe(content: object) -> str:
    """Say what a file holds that holds no named tensors."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    full = [str(name) for name, value in content.items() if isinstance(value, Mapping)]
    full = [name for name in full if has_tensors(content[name])]
    if full:
        names = shorten_text(", ".join(full))
        return f"several: {names}; save the one that is meant, torch.save(content[NAME], FILE)"
    names = shorten_text(", ".join(map(str, content)))
    return f"none; its entries are {names}" if names else "none"
