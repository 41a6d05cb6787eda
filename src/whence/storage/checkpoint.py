"""Checkpoints on disk: tensors and numbers of a moment, whole or passed over."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from whence.storage.plain_files import hash_file, read_json
from whence.storage.tensors import read_layouts, write_tensors
from whence.storage.whole_files import write_json

KEPT = 2
"""How many of the newest checkpoints stay on disk."""


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training: tensors by name, and plain numbers, "step" among them."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint-STEP``, its JSON last, and let older ones go.

    The JSON names the hash of the tensors: a pair whose JSON is there and fits is complete. Those
    of later steps go too: they are halves and damaged ones that this training was not resumed from.
    """
    step = checkpoint.numbers["step"]
    path = folder / f"checkpoint-{step}.safetensors"
    digest = write_tensors(path, checkpoint.tensors)
    write_json(path.with_suffix(".json"), {**checkpoint.numbers, "sha256": digest})
    found = find_checkpoints(folder)
    kept = [other for other in found if other <= step][:KEPT]
    for other in found:
        if other not in kept:
            remove_checkpoint(folder, other)


def find_checkpoints(folder: Path) -> list[int]:
    """List the steps of the checkpoints in a folder, also of halves, newest first."""
    names = (path.name for path in folder.iterdir())
    found = (re.fullmatch(r"checkpoint-(\d+)\.(safetensors|json)", name) for name in names)
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def remove_checkpoint(folder: Path, step: int) -> None:
    """Remove one checkpoint, its JSON first, so that half a pair never looks whole."""
    (folder / f"checkpoint-{step}.json").unlink(missing_ok=True)
    (folder / f"checkpoint-{step}.safetensors").unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Remove every checkpoint, which a finished training needs no more."""
    for step in find_checkpoints(folder):
        remove_checkpoint(folder, step)


def read_newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest complete checkpoint; one that is cut short or damaged is passed over.

    Whether it fits a training is for that training to say.
    """
    for step in find_checkpoints(folder):
        path = folder / f"checkpoint-{step}.safetensors"
        try:
            numbers = read_json(path.with_suffix(".json"))
            layouts = read_layouts(path)
        except (FileNotFoundError, ValueError):
            continue
        if numbers.pop("sha256", None) != hash_file(path) or numbers.get("step") != step:
            continue
        with safe_open(path, framework="pt") as file:
            return Checkpoint({name: file.get_tensor(name) for name in layouts}, numbers)
    return None
