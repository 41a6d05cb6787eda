"""The gradient, but for what rectifiers do with it: deconvnet and guided backpropagation."""

from collections.abc import Callable

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.kinds import RECTIFIERS
from whence.attribution.graph.layers import FoundByLayers, find_by_layers, split_found
from whence.attribution.graph.node import Node, Recording, aten
from whence.attribution.graph.pull import Messages, pull
from whence.attribution.graph.tape import Everything
from whence.attribution.graph.walk_back import walk_back
from whence.attribution.score import Score

Rectify = Callable[[Node, Tensor], Tensor]
"""Takes a rectifier and what arrives at it, and gives what it passes on, in the same shape."""


def find_rectified(score: Score, images: Tensor, rectify: Rectify, *, words: str) -> FoundRelevance:
    """Go back as the gradient does, with another way through rectifiers.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        rectify: what is done at rectifiers.
        words: the name of the method, with what rectifiers do.
    """
    seen = set()

    def pass_on(node: Node, arriving: list[Tensor | None]) -> Messages:
        if node.operation not in RECTIFIERS or arriving[0] is None:
            return pull(node, arriving)
        seen.add(node.operation)
        return [(node.inputs[0], rectify(node, arriving[0]))]

    def explain(recording: Recording) -> FoundByLayers:
        start = torch.ones_like(recording.output.value)
        return split_found(walk_back(recording, start, pass_on), {})

    found = find_by_layers(
        score,
        images,
        explain,
        known=Everything(),
        weights=None if score.evidence is None else "explained",
        sentence="",
        adds_up=False,
    )
    told = words if seen else "the gradient, since the network has no rectifier"
    return found._replace(
        sentence=f"A pixel's number is what comes back to it from the score by {told}; "
        "it adds up to nothing in particular."
    )


def is_saturated(node: Node) -> Tensor | None:
    """Say where a rectifier with an upper bound, as ReLU6 has one, lets nothing through."""
    if node.operation is not aten.hardtanh:
        return None
    upper = node.args[2] if len(node.args) > 2 else 1.0
    return node.inputs[0].value >= upper
