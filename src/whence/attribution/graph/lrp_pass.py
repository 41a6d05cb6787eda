"""Layer-wise relevance propagation, operation by operation."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from whence.attribution.graph.affine import READERS, Affine, find_biased
from whence.attribution.graph.composites import Composite
from whence.attribution.graph.kinds import (
    ACTIVATIONS,
    ADDITIONS_TO,
    FILLING,
    PRODUCTS,
    ROUTES,
    SUMS,
    find_gate,
)
from whence.attribution.graph.ledger import BIASES, STABILISER, Ledger
from whence.attribution.graph.node import Node, Slot, aten
from whence.attribution.graph.pull import Messages, first_of, pull
from whence.attribution.graph.rules import (
    BOX,
    OF_INPUTS,
    RULES,
    Box,
    Numbers,
    Shares,
    box,
    divide_away,
    lose,
)
from whence.attribution.graph.share_norms import (
    share_batch_norm,
    share_group_norm,
    share_layer_norm,
)
from whence.attribution.graph.share_products import (
    HELD,
    at_zero,
    share_factors,
    share_gated,
    share_linear,
    share_matrices,
    share_running_factors,
)
from whence.attribution.graph.sharing import give, share_shifted
from whence.attribution.graph.standing import name_operation, refuse_operation
from whence.attribution.own_evidence import weigh_allowed
from whence.attribution.vote_odds import subtract_sides


class LayerwisePass:
    """What layer-wise relevance propagation does with each operation.

    Args:
        composite: names of rules.
        numbers: what they are told.
        ledger: where it is written down what falls on no pixel.
        bounds: the least and the largest value of a pixel, for the rule of the box.
    """

    def __init__(
        self,
        composite: Composite,
        numbers: Numbers,
        ledger: Ledger,
        bounds: tuple[float, float],
    ) -> None:
        self.composite, self.numbers, self.ledger = composite, numbers, ledger
        self.bounds = bounds
        self._early: WeakKeyDictionary[Slot, bool] = WeakKeyDictionary()

    def __call__(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Share what arrives at an operation.

        Raises:
            ValueError: if there is no rule for it.
        """
        handle = HANDLERS.get(node.operation)
        if handle is None:
            refuse_operation(name_operation(node.operation), node.place or "")
        return handle(self, node, arriving)

    def lose(self, node: Node, relevance: Tensor, whole: Tensor, per_unit: Tensor) -> None:
        """Write down what is not given away where units of ``whole`` get ``per_unit``."""
        self.ledger.add(STABILISER, lose(relevance, whole, per_unit), node.output.owners)

    def keep(self, node: Node, amounts: Tensor) -> None:
        """Write down what biases take of an operation's output."""
        self.ledger.add(BIASES, amounts, node.output.owners)

    def is_early(self, slot: Slot) -> bool:
        """Say whether no layer with weights comes before a value."""
        if slot not in self._early:
            maker = slot.maker
            self._early[slot] = maker is None or (
                maker.operation not in READERS
                and maker.inside is None
                and all(map(self.is_early, maker.inputs))
            )
        return self._early[slot]

    def spreads(self, slot: Slot) -> bool:
        """Say whether constants that are added to a value leave all relevance to it."""
        of_inputs = self.composite.first in OF_INPUTS and self.is_early(slot)
        return self.numbers.spread_biases or of_inputs

    def share_layer(self, node: Node, layer: Affine, relevance: Tensor) -> Messages:
        """Share by the rule that is for a layer."""
        shares = self._choose(layer, relevance)
        if shares.biases is not None:
            self.keep(node, shares.biases)
        self.ledger.add(STABILISER, shares.lost, node.output.owners)
        return [(layer.slot, shares.inputs)]

    def _choose(self, layer: Affine, relevance: Tensor) -> Shares:
        dense = layer.weight.dim() == 2
        name = self.composite.dense if dense else self.composite.convolution
        if self.is_early(layer.slot):
            name = self.composite.first
        if name == BOX:
            bounds = Box(*(find_at(layer.slot, value) for value in self.bounds))
            return box(layer, relevance, self.numbers, bounds)
        return RULES[name](layer, relevance, self.numbers)


Handler = Callable[[LayerwisePass, Node, list[Tensor | None]], Messages]


def find_at(slot: Slot, value: float) -> Tensor:
    """Compute what a value before all layers would be if all pixels were a number."""
    if slot.maker is None:
        return torch.full_like(slot.value, value)
    node = slot.maker

    def replace(one: Any) -> Any:
        return find_at(one, value) if isinstance(one, Slot) else one

    args, kwargs = tree_map(replace, (node.args, node.kwargs))
    found = node.call(*args, **kwargs)
    whole: Tensor = found[node.outputs.index(slot)] if isinstance(found, tuple | list) else found
    return whole


def route(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Give every number's relevance to the number that it is."""
    passed = pull(node, arriving)
    constants = any(is_constant_float(one) for one in tree_leaves((node.args, node.kwargs)))
    if constants or node.operation in FILLING:
        for slot, relevance in zip(node.outputs, arriving, strict=True):
            if slot is not None and relevance is not None:
                own.ledger.add(BIASES, relevance, slot.owners)
        for slot, relevance in passed:
            own.ledger.add(BIASES, -relevance, slot.owners)
    return passed


def put_numbers(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Route numbers that are put among others, or share where they are added to these.

    Raises:
        ValueError: if they are joined in another way.
    """
    if "reduce" in node.kwargs:
        refuse_operation(f"{name_operation(node.operation)} with reduce", node.place or "")
    added = node.operation is aten.index_put and len(node.args) > 3 and node.args[3]
    return share_linear(own, node, arriving) if added else route(own, node, arriving)


def is_constant_float(one: object) -> bool:
    """Say whether an argument is a constant tensor whose numbers may come out."""
    return isinstance(one, Tensor) and one.is_floating_point()


def share_terms(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share a sum with constant factors by what each term adds."""
    relevance, z = first_of(arriving), node.output.value
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    return [(slot, slot.value * found) for slot, found in pull(node, [c])]


def share_addition(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share a sum or difference of two, one of which may be a constant."""
    slots = node.inputs
    if len(slots) > 1:
        return share_terms(own, node, arriving)
    biased = find_biased(node) if node.operation is aten.add else None
    if biased is not None:
        product, layer = biased
        return own.share_layer(product, layer, first_of(arriving).reshape(layer.z.shape))
    if own.spreads(slots[0]):
        return give(own, node, arriving)
    return share_shifted(own, node, first_of(arriving), at_zero(node))


def activate(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Pass everything back; where the function is not 0 at 0, that is a constant that was added.

    Where it is infinite there, as a logarithm is, only its tangent tells what is passed back.
    """
    if len(node.inputs) > 1 and node.operation is not aten._prelu_kernel:
        refuse_operation(f"{name_operation(node.operation)} of two values", node.place or "")
    slot = node.inputs[0]
    if node.operation is aten._prelu_kernel:
        return give(own, node, arriving)
    nothing = slot.value.new_zeros(())
    args = [nothing if one is slot else one for one in node.args]
    shift = node.call(*args, **node.kwargs)
    shift = shift[0] if isinstance(shift, tuple) else shift
    if not bool(shift.isfinite()):
        return share_weights(own, node, arriving)
    if float(shift) == 0:
        return give(own, node, arriving)
    return share_shifted(own, node, first_of(arriving), shift)


def share_product(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share a product number by number: a factor that is constant, or a gate, takes nothing."""
    slots, relevance = node.inputs, first_of(arriving)
    if len(slots) == 1:
        return give(own, node, arriving)
    gate = find_gate(slots)
    if gate is None:
        return [(slot, (relevance / 2).sum_to_size(slot.value.shape)) for slot in slots]
    other = slots[1 - gate]
    return [(other, relevance.sum_to_size(other.value.shape))]


def share_quotient(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Give everything to what is divided; what it is divided by is a constant."""
    divided = node.args[0]
    if isinstance(divided, Slot):
        return [(divided, first_of(arriving).sum_to_size(divided.value.shape))]
    own.keep(node, first_of(arriving))
    return []


def share_weights(own: LayerwisePass, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share softmax, sparsemax or log-odds by their tangent, of which the rest is a constant."""
    relevance, (slot,) = first_of(arriving), node.inputs
    c = divide_away(relevance, node.output.value, 0)
    ((_, found),) = pull(node, [c, *[None] * (len(node.outputs) - 1)])
    passed = torch.where(found == 0, 0, slot.value * found)  # a score may be minus infinity
    own.keep(node, relevance)
    own.ledger.add(BIASES, -passed, slot.owners)
    return [(slot, passed)]


HANDLERS: MappingProxyType[Any, Handler] = MappingProxyType(
    {
        **dict.fromkeys(ROUTES, route),
        **dict.fromkeys((aten.scatter, aten.index_put), put_numbers),
        **dict.fromkeys(SUMS, share_terms),
        **dict.fromkeys(ACTIVATIONS, activate),
        **dict.fromkeys((aten.add, aten.sub, aten.rsub), share_addition),
        **dict.fromkeys(PRODUCTS, share_matrices),
        **dict.fromkeys((*HELD, *ADDITIONS_TO), share_linear),
        aten.prod: share_factors,
        aten.cumprod: share_running_factors,
        aten.std: share_weights,
        aten.linalg_vector_norm: share_weights,
        aten.logcumsumexp: share_weights,
        aten.glu: share_gated,
        aten.mul: share_product,
        aten.neg: give,
        aten.div: share_quotient,
        aten.native_batch_norm: share_batch_norm,
        aten.native_layer_norm: share_layer_norm,
        aten.native_group_norm: share_group_norm,
        aten._softmax: share_weights,
        aten._safe_softmax: share_weights,
        aten._log_softmax: share_weights,
        aten.logsumexp: share_weights,
        weigh_allowed: share_weights,
        subtract_sides: share_weights,
    }
)
"""What is done with each operation."""
