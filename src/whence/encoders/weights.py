"""Parameters go from a file into a network, in whole or not at all."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.encoders.weights_file import AVERAGED, CONTAINERS
from whence.messages import quote

SEGMENTS = frozenset({*AVERAGED, *CONTAINERS, "_orig_mod", "backbone"})
"""Names of modules around a network, which stand before its parameters' names in files."""


class Matched(NamedTuple):
    """Tensors of a file under the names that a network has for them."""

    tensors: dict[str, Tensor]
    prefix: str


def match_names(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Matched:
    """Leave out the prefix under which most of the wanted names are found.

    Of several such prefixes one that names averaged weights is taken, then the shortest.
    """

    def take(prefix: str) -> dict[str, Tensor]:
        return {name: found[prefix + name] for name in wanted if prefix + name in found}

    def rank(prefix: str) -> tuple[int, bool, int]:
        averaged = any(segment in AVERAGED for segment in prefix.split("."))
        return len(take(prefix)), averaged, -len(prefix)

    prefix = max(sorted(list_prefixes(found)), key=rank)
    return Matched(take(prefix), prefix)


def list_prefixes(names: Mapping[str, Tensor]) -> set[str]:
    """Collect what may stand before the names: none, one or several of ``SEGMENTS``.

    >>> sorted(list_prefixes(dict.fromkeys(["module._orig_mod.fc.bias", "model.module.x"])))
    ['', 'model.', 'model.module.', 'module.', 'module._orig_mod.']
    """
    prefixes = {""}
    for name in names:
        prefix = ""
        for segment in name.split(".")[:-1]:
            if segment not in SEGMENTS:
                break
            prefix += f"{segment}."
            prefixes.add(prefix)
    return prefixes


def fill(module: nn.Module, found: Mapping[str, Tensor], source: str) -> int:
    """Copy named tensors into a module's parameters and buffers, all of them or none.

    Names of modules around the network are left out. Names that the module does not have, those
    of a dropped classifier for example, are not used; batch counters of old files may be missing.

    Args:
        module: changed only if everything fits.
        found: the tensors of a file, by name.
        source: where they come from, for the message.

    Returns:
        How many of the tensors were not used.

    Raises:
        ValueError: naming the first three that are missing or have another shape or type.
    """
    wanted: dict[str, Tensor] = module.state_dict()
    usable = match_names(found, wanted).tensors
    problems = [
        find_problem_of_tensor(name, tensor, usable.get(name)) for name, tensor in wanted.items()
    ]
    refuse(problems, source)
    copy_into(module, usable)
    return len(found) - len(usable)


def check_names(module: nn.Module, found: Mapping[str, Tensor], source: str) -> str:
    """Refuse named tensors that lack a parameter of a module, whatever their shapes.

    Returns:
        What stands before the module's names in the file.

    Raises:
        ValueError: naming the first three that are missing.
    """
    wanted: dict[str, Tensor] = module.state_dict()
    usable, prefix = match_names(found, wanted)
    lacking = {name: find_missing(name, tensor) for name, tensor in wanted.items()}
    refuse([None if name in usable else problem for name, problem in lacking.items()], source)
    return prefix


def refuse(problems: Sequence[str | None], source: str) -> None:
    """Refuse tensors of which one or more have a problem; None is a tensor without one.

    Raises:
        ValueError: naming the first three problems.
    """
    found = [problem for problem in problems if problem is not None]
    if found:
        listed = "; ".join(found[:3]) + (" ..." if len(found) > 3 else "")
        raise ValueError(
            f"{source} must hold every parameter of the network: {listed} ({len(found)} of "
            f"{len(problems)} do not fit). The file is of another network, or of one for images "
            "of another size."
        )


@torch.no_grad()
def put_on(network: nn.Module, device: str | torch.device | None) -> None:
    """Move a network to a device; None is the CPU.

    Raises:
        ValueError: if there is no such device here.
    """
    try:
        network.to(device or "cpu")
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:  # a name that is none, torch without CUDA
        raise ValueError(
            f"device must be one that this machine has, such as cpu, got {quote(str(device))}."
        ) from error


def copy_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into the parameters and buffers of those names, which must fit.

    Unlike ``load_state_dict`` this needs no record of module versions, which files do not keep and
    some of torchvision's networks ask for.
    """
    state = module.state_dict()
    for name, tensor in tensors.items():
        state[name].copy_(tensor)


def find_problem_of_tensor(name: str, wanted: Tensor, found: Tensor | None) -> str | None:
    """Compare one tensor with the one that should replace it; return a clause, or None if fine."""
    if found is None:
        return find_missing(name, wanted)
    if found.shape != wanted.shape:
        return f"{name} must have shape {tuple(wanted.shape)}, got {tuple(found.shape)}"
    if found.is_floating_point() != wanted.is_floating_point() or found.is_complex():
        return f"{name} must be {wanted.dtype}, got {found.dtype}"
    return None


def find_missing(name: str, wanted: Tensor) -> str | None:
    """Say that a tensor is missing, unless it is one that may be: return a clause, or None."""
    optional = name.split(".")[-1] == "num_batches_tracked"
    return None if optional else f"{name} {tuple(wanted.shape)} is missing"


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Compute one SHA-256 over names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
