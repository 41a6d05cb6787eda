"""Backwards over what was recorded, from the score to the images and their evidence."""

from collections.abc import Callable

import torch
from torch import Tensor

from whence.attribution.graph.node import Node, Recording, Slot
from whence.attribution.graph.pull import Messages, first_of
from whence.attribution.graph.standing import name_operation

Pass = Callable[[Node, list[Tensor | None]], Messages]
"""Turns what arrives at an operation's outputs into what it passes on to what it reads."""


def record_again(node: Node) -> Recording:
    """Record what a node is made of, which was kept as one.

    Raises:
        TypeError: if it is an operation.
    """
    if node.inside is None:
        raise TypeError(f"{name_operation(node.operation)} must be made of others.")
    return node.inside()


@torch.no_grad()
def walk_back(
    recording: Recording,
    start: Tensor,
    pass_on: Pass,
    enter: Callable[[Node], Recording] = record_again,
) -> list[Tensor]:
    """Send something from the score to the inputs; what reaches a value on several ways adds up.

    Args:
        recording: of the score.
        start: `(B,)` what is sent.
        pass_on: what each operation does with it.
        enter: records the inside of a node that was kept as one.

    Returns:
        What arrives at each of the inputs, in their shape.
    """
    waiting: dict[Slot, Tensor] = {recording.output: start}
    for node in reversed(recording.nodes):
        arriving = [None if one is None else waiting.pop(one, None) for one in node.outputs]
        if all(one is None for one in arriving):
            continue
        if node.inside is not None:
            messages = walk_inside(node, first_of(arriving), pass_on, enter)
        else:
            messages = pass_on(node, arriving)
        for slot, message in messages:
            waiting[slot] = waiting[slot] + message if slot in waiting else message
    return [
        waiting[slot] if slot in waiting else torch.zeros_like(slot.value)
        for slot in recording.inputs
    ]


def walk_inside(
    node: Node, arriving: Tensor, pass_on: Pass, enter: Callable[[Node], Recording]
) -> Messages:
    """Send what arrives at a node that was kept as one through what it is made of."""
    inner = enter(node)
    return [*zip(inner.inputs, walk_back(inner, arriving, pass_on, enter), strict=True)]
