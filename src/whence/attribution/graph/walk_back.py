"""Backwards over what was recorded, from the score to the images and their evidence."""

from collections.abc import Callable

import torch
from torch import Tensor

from whence.attribution.graph.node import Node, Slot
from whence.attribution.graph.pull import Messages
from whence.attribution.graph.tape import Recording

Pass = Callable[[Node, list[Tensor | None]], Messages]
"""Turns what arrives at an operation's outputs into what it passes on to what it reads."""


@torch.no_grad()
def walk_back(recording: Recording, start: Tensor, pass_on: Pass) -> list[Tensor]:
    """Send something from the score to the inputs; what reaches a value on several ways adds up.

    Args:
        recording: of the score.
        start: `(B,)` what is sent.
        pass_on: what each operation does with it.

    Returns:
        What arrives at each of the inputs, in their shape.
    """
    waiting: dict[Slot, Tensor] = {recording.output: start}
    for node in reversed(recording.nodes):
        arriving = [None if one is None else waiting.pop(one, None) for one in node.outputs]
        if all(one is None for one in arriving):
            continue
        for slot, message in pass_on(node, arriving):
            waiting[slot] = waiting[slot] + message if slot in waiting else message
    return [
        waiting[slot] if slot in waiting else torch.zeros_like(slot.value)
        for slot in recording.inputs
    ]
