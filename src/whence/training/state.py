"""The state of a training: the parts that a checkpoint holds, packed and put back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from whence.encoders.weights import copy_into
from whence.storage.checkpoint import Checkpoint
from whence.storage.tensors import layouts_of


class State(Protocol):
    """One part of a training, with names in the checkpoint that no other part has."""

    def pack(self) -> Checkpoint:
        """Return the part as it is; its tensors may change later."""

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Say what a checkpoint must hold and does not, as a clause; None if all of it is there."""

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Put the part back to the moment of ``pack``; the checkpoint fits."""


def pack(states: Sequence[State]) -> Checkpoint:
    """Copy all parts of a training.

    Raises:
        DivergedError: rather than keeping a training that went wrong.
    """
    packed = [state.pack() for state in states]
    tensors = {name: tensor for part in packed for name, tensor in part.tensors.items()}
    copied = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    return Checkpoint(copied, {name: n for part in packed for name, n in part.numbers.items()})


def unpack(states: Sequence[State], checkpoint: Checkpoint) -> None:
    """Put a training back to the moment of ``pack``; all of it, or nothing if it does not fit.

    Raises:
        ValueError: naming what the checkpoint must hold.
    """
    for state in states:
        problem = state.find_misfit(checkpoint)
        if problem is not None:
            raise ValueError(f"The checkpoint must hold {problem}; it is of another training.")
    for state in states:
        state.unpack(checkpoint)


@dataclass(frozen=True)
class ModuleState:
    """Parameters and statistics of a module."""

    module: nn.Module

    def pack(self) -> Checkpoint:
        """Name every tensor ``model.NAME``."""
        tensors = self.module.state_dict()
        return Checkpoint({f"model.{name}": tensor for name, tensor in tensors.items()}, {})

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Compare names, shapes and types with the module's."""
        return find_other_layout("model", checkpoint, self.module.state_dict())

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Copy the tensors into the module."""
        names = self.module.state_dict()
        copy_into(self.module, {name: checkpoint.tensors[f"model.{name}"] for name in names})


def find_other_layout(
    prefix: str, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]
) -> str | None:
    """Compare a checkpoint's ``PREFIX.NAME`` with tensors; return what is wanted, or None."""
    found = layouts_of(checkpoint.tensors)
    for name, layout in layouts_of(tensors).items():
        other = found.get(f"{prefix}.{name}", "nothing")
        if other != layout:
            return f"{name} {layout}, got {other}"
    return None


@dataclass(frozen=True)
class OptimizerState:
    """What an optimiser remembers of each parameter; those that had no gradient have nothing."""

    optimizer: torch.optim.Optimizer

    @property
    def learned(self) -> list[Tensor]:
        """List the parameters in the order of the optimiser's numbers."""
        return [tensor for group in self.optimizer.param_groups for tensor in group["params"]]

    def pack(self) -> Checkpoint:
        """Name every tensor ``optimizer.NUMBER.NAME``."""
        states = self.optimizer.state_dict()["state"]
        tensors = {
            f"optimizer.{number}.{name}": value
            for number, state in states.items()
            for name, value in state.items()
            if isinstance(value, Tensor)
        }
        return Checkpoint(tensors, {})

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Check that each parameter has all of the optimiser's tensors, in its shape, or none."""
        wanted, learned = sorted(names_of_state(self.optimizer)), self.learned
        found: dict[int, dict[str, Tensor]] = {}
        for number, name, tensor in optimizer_tensors(checkpoint):
            if number >= len(learned):
                return f"{name} of {len(learned)} parameters, got one of parameter {number}"
            found.setdefault(number, {})[name] = tensor
        for number, tensors in found.items():
            if sorted(tensors) != wanted:
                named = ", ".join(wanted) or "nothing"
                return f"{named} of parameter {number}, got {', '.join(sorted(tensors))}"
            for name, layout in layouts_of(tensors).items():
                shape = () if name == "step" else tuple(learned[number].shape)
                if layout.shape != shape or not layout.dtype.is_floating_point:
                    return f"{name} {shape}, got {layout} of parameter {number}"
        return None

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Give the optimiser the tensors, laid out in memory as it would have made them."""
        learned = self.learned
        state: dict[int, dict[str, Tensor]] = {}
        for number, name, tensor in optimizer_tensors(checkpoint):
            state.setdefault(number, {})[name] = lay_out_like(tensor, learned[number])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def names_of_state(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Name the tensors that an optimiser keeps for a parameter once it has taken a step."""
    if isinstance(optimizer, torch.optim.SGD):
        return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return ("step", "exp_avg", "exp_avg_sq")
    raise TypeError(f"optimizer must be SGD, Adam or AdamW, got {type(optimizer).__name__}.")


def optimizer_tensors(checkpoint: Checkpoint) -> Iterator[tuple[int, str, Tensor]]:
    """List the optimiser's tensors with the parameter's number and their name."""
    for key, tensor in checkpoint.tensors.items():
        match = re.fullmatch(r"optimizer\.(\d{1,9})\.(\w+)", key)
        if match:
            yield int(match[1]), match[2], tensor


def lay_out_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Give an optimiser's tensor the memory layout of its parameter.

    A file keeps no strides, and fused optimisers go through memory, not through positions: with
    another layout they would pair each weight with the momentum of another one.
    """
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


@dataclass(frozen=True)
class RandomState:
    """What all draws come from: a generator of one's own, and the global ones of a device."""

    generator: torch.Generator
    device: torch.device

    def pack(self) -> Checkpoint:
        """Name the states ``random.draws``, ``random.global`` and, on a GPU, ``random.cuda``."""
        tensors = {
            "random.draws": self.generator.get_state(),
            "random.global": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return Checkpoint(tensors, {})

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Try the states on other generators; a training that began on a CPU has none of a GPU."""
        tensors = checkpoint.tensors
        try:
            torch.Generator().set_state(tensors["random.draws"])
            torch.Generator().set_state(tensors["random.global"])
            if self.device.type == "cuda" and "random.cuda" in tensors:
                torch.Generator(self.device).set_state(tensors["random.cuda"])
        except (KeyError, RuntimeError, TypeError) as error:
            return f"whole random states ({error})"
        return None

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Set the generators."""
        tensors = checkpoint.tensors
        self.generator.set_state(tensors["random.draws"])
        torch.set_rng_state(tensors["random.global"])
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
