"""Through one operation backwards, by autograd."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from whence.attribution.graph.node import Node, Slot

Messages = list[tuple[Slot, Tensor]]
"""What an operation passes on to the slots that it reads; a slot may occur twice."""


def pull(node: Node, arriving: list[Tensor | None]) -> Messages:
    """Multiply what arrives at the outputs of an operation by its transposed derivative.

    Args:
        node: the operation.
        arriving: one for each output, or None where nothing arrives.
    """
    leaves: list[tuple[Slot, Tensor]] = []

    def give(one: Any) -> Any:
        if not isinstance(one, Slot):
            return one
        leaves.append((one, one.value.detach().requires_grad_()))
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
