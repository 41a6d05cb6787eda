"""How products share relevance, and others that are linear in a part of what they read."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from whence.attribution.graph.affine import READERS
from whence.attribution.graph.node import Node, Slot, aten
from whence.attribution.graph.pull import Messages, first_of, pull
from whence.attribution.graph.rules import divide_away
from whence.attribution.graph.sharing import Sharing

WITH_SUMMAND = frozenset(
    {aten.addmm, aten.addmv, aten.addr, aten.addbmm, aten.baddbmm, aten.addcmul}
)
"""Products whose first argument is added."""


def share_matrices(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share a product of matrices, half to each side where both depend on the images."""
    layer = READERS[node.operation](node) if node.operation in READERS else None
    if layer is not None:
        return own.share_layer(node, layer, first_of(arriving))
    relevance, z = first_of(arriving), node.output.value
    added, factors = split_product(node)
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    if isinstance(added, Tensor):
        own.keep(node, at_zero(node) * c)
    parts = [1] * isinstance(added, Slot) + [len(factors)] * len(factors)
    return [
        (slot, slot.value * found / part)
        for (slot, found), part in zip(pull_in_order(node, c), parts, strict=True)
    ]


def split_product(node: Node) -> tuple[object, list[Slot]]:
    """Split what a product of two reads into what is added, and the factors that are no constants.

    Returns:
        None for nothing that is added.
    """
    if node.operation is aten.convolution:
        first, second, added, *_ = node.args
        factors = [first, second]
    elif node.operation in WITH_SUMMAND:
        added, *factors = node.args
    else:
        added, factors = None, list(node.args)
    return added, [one for one in factors if isinstance(one, Slot)]


def pull_in_order(node: Node, c: Tensor) -> Messages:
    """Pull ``c`` through a product, what is added first."""
    passed = pull(node, [c])
    last = node.operation is aten.convolution and isinstance(node.args[2], Slot)
    return [*passed[-1:], *passed[:-1]] if last else passed


HELD: dict[Any, int] = {
    aten.grid_sampler_2d: 1,
    aten.grid_sampler_3d: 1,
    aten.lerp: 2,
    aten.addcdiv: 2,
}
"""Which argument of an operation, and none after it, is a constant to what comes before it: places
between pixels, how far it is between two, or what is divided by."""


def share_linear(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share what is linear in all but held arguments by what each number adds; the rest is kept."""
    relevance, z = first_of(arriving), node.output.value
    place = HELD.get(node.operation, len(node.args))
    held = [one.value if isinstance(one, Slot) else one for one in node.args[place:]]
    free = Node(node.operation, node.call, (*node.args[:place], *held), node.kwargs)
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    own.keep(node, at_zero(free) * c)
    return [(slot, slot.value * found) for slot, found in pull(free, [c])] if free.inputs else []


def share_factors(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share the product of a row of numbers in equal parts."""
    (slot,), relevance = node.inputs, first_of(arriving)
    count = slot.value.numel() // max(1, relevance.numel())
    dim = node.args[1] if len(node.args) > 1 else None
    if isinstance(dim, int) and relevance.dim() < slot.value.dim():
        relevance = relevance.unsqueeze(dim)
    return [(slot, (relevance / count).expand(slot.value.shape))]


def share_running_factors(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share products of more and more numbers of a row, each in equal parts."""
    (slot,), relevance, dim = node.inputs, first_of(arriving), node.args[1]
    sizes = [1] * slot.value.dim()
    sizes[dim] = -1
    counts = torch.arange(1, slot.value.shape[dim] + 1, device=relevance.device).view(sizes)
    parts = relevance / counts
    return [(slot, parts.flip(dim).cumsum(dim).flip(dim))]


def share_gated(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Give everything to the half that a gated linear unit lets through, nothing to its gate."""
    (slot,), relevance = node.inputs, first_of(arriving)
    dim = node.args[1] if len(node.args) > 1 else -1
    return [(slot, torch.cat([relevance, torch.zeros_like(relevance)], dim))]


def at_zero(node: Node) -> Tensor:
    """Compute an operation where what depends on the images is 0."""
    args, kwargs = tree_map(
        lambda one: torch.zeros_like(one.value) if isinstance(one, Slot) else one,
        (node.args, node.kwargs),
    )
    found: Tensor = node.call(*args, **kwargs)
    return found
