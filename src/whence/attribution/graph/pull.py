"""Through one operation backwards, by autograd."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from whence.attribution.graph.node import Node, Slot

Messages = list[tuple[Slot, Tensor]]
"""What an operation passes on to the slots that it reads; a slot may occur twice."""


def value_of(slot: Slot) -> Tensor:
    """Return what a slot holds."""
    return slot.value


def pull(
    node: Node,
    arriving: list[Tensor | None],
    value: Callable[[Slot], Tensor] = value_of,
) -> Messages:
    """Multiply what arrives at the outputs of an operation by its transposed derivative.

    Args:
        node: the operation.
        arriving: one for each output, or None where nothing arrives.
        value: where the derivative is taken; as it was by default.
    """
    leaves: list[tuple[Slot, Tensor]] = []

    def give(one: Any) -> Any:
        if not isinstance(one, Slot):
            return one
        leaves.append((one, value(one).detach().requires_grad_()))
        return leaves[-1][1]

    with torch.enable_grad():
        args, kwargs = tree_map(give, (node.args, node.kwargs))
        results = node.call(*args, **kwargs)
    results = results if isinstance(results, tuple | list) else [results]
    pairs = [(one, g) for one, g in zip(results, arriving, strict=True) if g is not None]
    outputs, gradients = zip(*pairs, strict=True)
    found = torch.autograd.grad(outputs, [leaf for _, leaf in leaves], gradients, allow_unused=True)
    return [
        (slot, gradient)
        for (slot, _), gradient in zip(leaves, found, strict=True)
        if gradient is not None
    ]


def first_of(arriving: list[Tensor | None]) -> Tensor:
    """Take the relevance of the first output, where the others are no part of the network."""
    if arriving[0] is None:
        raise ValueError("The network must not read what a layer computes beside its output.")
    return arriving[0]
