"""Files of parameters: nothing in them is run, and they are copied in whole or not at all."""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

CONTAINERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("", "encoder.", "module.", "module.encoder.")
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


def read_pytorch_file(path: Path) -> Any:
    """Read a file that ``torch.save`` wrote, refusing everything but tensors and plain values.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it holds anything that would have to be run, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a file, there is none.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} must be a whole PyTorch file of tensors and plain values; reading anything "
            "else could run code hidden in it. Save it again with "
            "torch.save(model.state_dict(), FILE) or as .safetensors."
        ) from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a .safetensors, .pt or .pth file.

    A PyTorch file may hold them directly, or in an entry "state_dict", "model_state_dict" or
    "model".

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
    if isinstance(content, dict):
        inner = next((content[name] for name in CONTAINERS if name in content), content)
        content = inner if isinstance(inner, dict) else content
    return only_tensors(content, path)


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
        raise ValueError(f"{path} must hold named tensors (a state dict), it holds none.")
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{path} must hold ordinary tensors, {name} is of another kind.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path} must hold finite numbers, {name} has NaN or infinity.")
    return tensors


def strip_prefix(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the prefix of ``PREFIXES`` off under which most of the wanted names are found."""

    def take(prefix: str) -> dict[str, Tensor]:
        return {name: found[prefix + name] for name in wanted if prefix + name in found}

    return max((take(prefix) for prefix in PREFIXES), key=len)


def fill(module: nn.Module, found: Mapping[str, Tensor], source: str) -> int:
    """Copy named tensors into a module's parameters and buffers, all of them or none.

    A prefix ``encoder.`` or ``module.`` is taken off. Names that the module does not have, those of
    a dropped classifier for example, are not used; batch counters of old files may be missing.

    Args:
        module: changed only if everything fits.
        found: from :func:`read_state_dict`.
        source: where they come from, for the message.

    Returns:
        How many of the tensors were not used.

    Raises:
        ValueError: naming the first three that are missing or have another shape or type.
    """
    wanted: dict[str, Tensor] = module.state_dict()
    usable = strip_prefix(found, wanted)
    problems = [find_problem(name, tensor, usable.get(name)) for name, tensor in wanted.items()]
    refuse(problems, source)
    copy_into(module, usable)
    return len(found) - len(usable)


def check_names(module: nn.Module, found: Mapping[str, Tensor], source: str) -> None:
    """Refuse named tensors that lack a parameter of a module, whatever their shapes.

    Raises:
        ValueError: naming the first three that are missing.
    """
    wanted: dict[str, Tensor] = module.state_dict()
    usable = strip_prefix(found, wanted)
    lacking = {name: find_missing(name, tensor) for name, tensor in wanted.items()}
    refuse([None if name in usable else problem for name, problem in lacking.items()], source)


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
def copy_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into the parameters and buffers of those names, which must fit.

    Unlike ``load_state_dict`` this needs no record of module versions, which files do not keep and
    some of torchvision's networks ask for.
    """
    state = module.state_dict()
    for name, tensor in tensors.items():
        state[name].copy_(tensor)


def find_problem(name: str, wanted: Tensor, found: Tensor | None) -> str | None:
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
