"""What an operation may ask of a pass that shares relevance, and two simple ways to share."""

from typing import Protocol

from torch import Tensor

from whence.attribution.graph.affine import Affine
from whence.attribution.graph.node import Node, Slot
from whence.attribution.graph.pull import Messages, first_of
from whence.attribution.graph.rules import Numbers, divide_away


class Sharing(Protocol):
    """Layer-wise relevance propagation, as an operation sees it."""

    numbers: Numbers

    def lose(self, node: Node, relevance: Tensor, whole: Tensor, per_unit: Tensor) -> None:
        """Write down what is not given away where units of ``whole`` get ``per_unit``."""

    def keep(self, node: Node, amounts: Tensor) -> None:
        """Write down what biases take of an operation's output."""

    def spreads(self, slot: Slot) -> bool:
        """Say whether constants that are added to a value leave all relevance to it."""

    def share_layer(self, node: Node, layer: Affine, relevance: Tensor) -> Messages:
        """Share by the rule that is for a layer."""


def give(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Give everything to the only input, number by number."""
    return [(node.inputs[0], first_of(arriving).sum_to_size(node.inputs[0].value.shape))]


def share_shifted(own: Sharing, node: Node, relevance: Tensor, shift: Tensor) -> Messages:
    """Share between a number, or what became of it, and a constant that was added."""
    z = node.output.value
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    own.keep(node, shift * c)
    slot = node.inputs[0]
    return [(slot, ((z - shift) * c).sum_to_size(slot.value.shape))]
