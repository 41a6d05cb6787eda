"""Numbers that a network cannot answer with, though a file or a training may hold them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from whence.shapes import check_shape

LARGEST = 1e18
"""Of a parameter or a stored feature: the square of it does not overflow in float32."""


def find_unsound(tensors: Mapping[str, Tensor]) -> str | None:
    """Find the first tensor that no trained network has; what is wrong with it as two clauses.

    >>> find_unsound({"norm.running_var": torch.tensor([1.0, -0.5])})
    'variances of at least 0, norm.running_var has -0.5'
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.is_meta:
            continue
        low, high = (float(value) for value in tensor.detach().aminmax())
        if not (-torch.inf < low <= high < torch.inf):  # also true for nan
            return f"finite numbers, {name} has NaN or infinity"
        if name.rpartition(".")[2] == "running_var" and low < 0:
            return f"variances of at least 0, {name} has {low:g}"
        if max(-low, high) > LARGEST:
            largest = high if high > LARGEST else low
            return f"numbers of at most {LARGEST:g}, {name} has {largest:g}"
    return None


def check_sound(where: str, tensors: Mapping[str, Tensor], *, hint: str = "") -> None:
    """Refuse tensors with NaN, infinity, a negative variance, or numbers that would overflow.

    Raises:
        ValueError: naming ``where`` and the tensor, with ``hint`` before the full stop.
    """
    problem = find_unsound(tensors)
    if problem is not None:
        raise ValueError(f"{where} must hold {problem}{hint}.")


def check_given_features(name: str, features: Tensor, *, total: int, width: int | None) -> None:
    """Refuse what are no features of so many images.

    Args:
        name: of the argument.
        features: `(N, D)`.
        total: N.
        width: D; None allows any.

    Raises:
        TypeError: if they are no tensor of floats.
        ValueError: if they are more, fewer, of another width, or not finite.
    """
    sizes = {"N": total} if width is None else {"N": total, "D": width}
    check_shape(name, features, "N D", **sizes)
    if not features.is_floating_point():
        raise TypeError(f"{name} must be floats, got {features.dtype}.")
    finite = torch.isfinite(features)
    if not bool(finite.all()):
        row = int((~finite).any(1).nonzero()[0])
        raise ValueError(
            f"{name} must be finite numbers, those of image {row} have NaN or infinity."
        )


def check_outputs(name: str, outputs: Tensor, network: nn.Module) -> None:
    """Refuse what a network returned for `B` images if it holds NaN or infinity.

    Args:
        name: "features" or "logits".
        outputs: `(B, N)`.
        network: what computed them; only looked through for the cause.

    Raises:
        ValueError: naming the first image, and the tensor of the network that is the cause if it
            shows.
    """
    finite = torch.isfinite(outputs)
    if bool(finite.all()):
        return
    row = int((~finite).any(1).nonzero()[0])
    problem = find_unsound(network.state_dict())
    cause = (
        f"{type(network).__name__} must hold {problem}"
        if problem is not None
        else f"the numbers overflow inside {type(network).__name__}, or it divides by zero"
    )
    raise ValueError(
        f"{name} must be finite numbers, those of image {row} have NaN or infinity; {cause}."
    )
