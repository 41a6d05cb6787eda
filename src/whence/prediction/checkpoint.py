"""Checkpoints: everything a training needs to go on to the same bits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor

from whence.prediction.files import hash_file, read_json, read_shapes, write_json, write_tensors

if TYPE_CHECKING:
    from whence.prediction.fit import Progress
    from whence.prediction.model import Classifier

KEPT = 2
"""How many of the newest checkpoints stay on disk."""


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training: tensors by name, and plain numbers."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def pack(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    progress: Progress,
) -> Checkpoint:
    """Copy parameters, statistics, optimiser, random states and position.

    Raises:
        NonFiniteLossError: rather than keeping a training that went wrong.
    """
    progress.check_losses()
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{number}.{name}"] = value
    tensors["random.draws"] = generator.get_state()
    tensors["random.global"] = torch.get_rng_state()
    device = model.mean.device
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    tensors["order"] = progress.order
    tensors["losses"] = torch.stack(progress.losses)
    tensors["hits"] = torch.stack(progress.hits)
    copied = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    return Checkpoint(copied, {"step": progress.step, "place": progress.place})


def unpack(
    checkpoint: Checkpoint,
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Put a training back to the moment of ``pack``.

    Raises:
        ValueError: if the checkpoint does not fit the model.
    """
    tensors = checkpoint.tensors
    device = model.mean.device
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        found = tensors.get(f"model.{name}")
        if found is None or found.shape != tensor.shape:
            raise ValueError(f"The checkpoint must hold {name} {tuple(tensor.shape)}; it does not.")
    model.load_state_dict({name: tensors[f"model.{name}"] for name in wanted})
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        family, _, rest = key.partition(".")
        if family == "optimizer":
            number, name = rest.split(".", 1)
            state.setdefault(int(number), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    generator.set_state(tensors["random.draws"])
    torch.set_rng_state(tensors["random.global"])
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    progress.step = int(checkpoint.numbers["step"])
    progress.place = int(checkpoint.numbers["place"])
    progress.order = tensors["order"]
    progress.losses = list(tensors["losses"].to(device).unbind())
    progress.hits = list(tensors["hits"].to(device).unbind())


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint-STEP``, its JSON last, and let older ones go.

    The JSON names the hash of the tensors: a pair whose JSON is there and fits is complete.
    """
    stem = f"checkpoint-{checkpoint.numbers['step']}"
    digest = write_tensors(folder / f"{stem}.safetensors", checkpoint.tensors)
    write_json(folder / f"{stem}.json", {**checkpoint.numbers, "sha256": digest})
    for step in find_checkpoints(folder)[KEPT:]:
        remove_checkpoint(folder, step)


def find_checkpoints(folder: Path) -> list[int]:
    """List the steps of the checkpoints in a folder, newest first."""
    found = (re.fullmatch(r"checkpoint-(\d+)\.safetensors", p.name) for p in folder.iterdir())
    return sorted((int(match[1]) for match in found if match), reverse=True)


def remove_checkpoint(folder: Path, step: int) -> None:
    """Remove one checkpoint, its JSON first, so that half a pair never looks whole."""
    (folder / f"checkpoint-{step}.json").unlink(missing_ok=True)
    (folder / f"checkpoint-{step}.safetensors").unlink(missing_ok=True)


def read_newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest complete checkpoint; one that is cut short or damaged is passed over."""
    for step in find_checkpoints(folder):
        path = folder / f"checkpoint-{step}.safetensors"
        try:
            numbers = read_json(path.with_suffix(".json"))
            read_shapes(path)
        except (FileNotFoundError, ValueError, json.JSONDecodeError):
            continue
        if numbers.pop("sha256", None) != hash_file(path):
            continue
        with safe_open(path, framework="pt") as file:
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, numbers)  # noqa: SIM118
    return None
