"""How products share relevance, and others that are linear in a part of what they read."""

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from whence.attribution.graph.affine import READERS
from whence.attribution.graph.node import Node, Slot, aten
from whence.attribution.graph.pull import Messages, first_of, pull
from whence.attribution.graph.rules import divide_away
from whence.attribution.graph.sharing import Sharing

WITH_SUMMAND = frozenset({aten.addmm, aten.addmv, aten.baddbmm, aten.addcmul})
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


def share_sampled(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share what is sampled at places between pixels; the places are constants."""
    relevance, z, image = first_of(arriving), node.output.value, node.args[0]
    if not isinstance(image, Slot):
        own.keep(node, relevance)
        return []
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    return [(image, image.value * pull(node, [c])[0][1])]


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
