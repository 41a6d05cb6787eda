"""Checkpoints: everything a training needs to go on to the same bits."""

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from whence.encoders.weights import copy_into
from whence.models.classifier import Classifier
from whence.storage.checkpoint import Checkpoint
from whence.storage.tensors import layouts_of
from whence.training.progress import Progress


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
    """Put a training back to the moment of ``pack``; all of it, or nothing if it does not fit.

    Raises:
        ValueError: if the checkpoint does not fit the model, the optimiser or the position.
    """
    tensors, numbers = checkpoint.tensors, checkpoint.numbers
    device = model.mean.device
    learned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    problem = (
        find_misfit_of_model(tensors, model)
        or find_misfit_of_optimizer(tensors, learned)
        or find_misfit_of_place(checkpoint, progress)
    )
    if problem is not None:
        raise ValueError(f"The checkpoint must hold {problem}; it is of another training.")
    try:
        generator.set_state(tensors["random.draws"])
        torch.set_rng_state(tensors["random.global"])
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], device)
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"The checkpoint must hold whole random states ({error}).") from error
    copy_into(model, {name: tensors[f"model.{name}"] for name in model.state_dict()})
    state: dict[int, dict[str, Tensor]] = {}
    for number, name, tensor in optimizer_parts(tensors):
        state.setdefault(number, {})[name] = lay_out_like(tensor, learned[number])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    progress.step, progress.place = numbers["step"], numbers["place"]
    progress.order = tensors["order"]
    progress.losses = list(tensors["losses"].to(device).unbind())
    progress.hits = list(tensors["hits"].to(device).unbind())


def optimizer_parts(tensors: dict[str, Tensor]) -> Iterator[tuple[int, str, Tensor]]:
    """List the optimiser's tensors with the parameter's number and their name."""
    for key, tensor in tensors.items():
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


def find_misfit_of_model(tensors: dict[str, Tensor], model: Classifier) -> str | None:
    """Compare the model's part with the model; return what is wanted where they differ."""
    wanted = layouts_of(model.state_dict())
    found = layouts_of(tensors)
    for name, layout in wanted.items():
        if found.get(f"model.{name}") != layout:
            return f"{name} {layout}, got {found.get(f'model.{name}', 'nothing')}"
    return None


def find_misfit_of_optimizer(tensors: dict[str, Tensor], learned: list[Tensor]) -> str | None:
    """Check that each of the optimiser's tensors is a number, or fits its parameter."""
    for number, name, tensor in optimizer_parts(tensors):
        if number >= len(learned):
            return f"{name} of {len(learned)} parameters, got one of parameter {number}"
        if tensor.ndim and tensor.shape != learned[number].shape:
            return f"{name} {tuple(learned[number].shape)}, got {tuple(tensor.shape)}"
    return None


def find_misfit_of_place(checkpoint: Checkpoint, progress: Progress) -> str | None:
    """Check the position in the epoch, the order of its images, and its losses so far."""
    tensors, step = checkpoint.tensors, checkpoint.numbers.get("step")
    place, steps_per_epoch = checkpoint.numbers.get("place"), progress.steps_per_epoch
    if type(step) is not int or step < 1 or place != step % steps_per_epoch:
        return f"a step and its place in {steps_per_epoch}, got {step!r} and {place!r}"
    done = place or steps_per_epoch  # the losses of a whole epoch stay until the next one starts
    for name in ("losses", "hits"):
        if name not in tensors or tensors[name].shape != (done,):
            return f"{done} {name}"
    order = tensors.get("order", torch.empty(()))
    if order.ndim != 1 or order.sort().values.tolist() != list(range(progress.total)):
        return f"the order of {progress.total} images"
    return None
