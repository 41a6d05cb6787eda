"""Excitation Backprop: where a winner, drawn unit by unit from the score down, is likely to be."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.affine import Affine
from whence.attribution.graph.composites import Composite
from whence.attribution.graph.layers import (
    FoundByLayers,
    MemoryWeights,
    find_by_layers,
    split_found,
)
from whence.attribution.graph.ledger import Ledger
from whence.attribution.graph.lrp_pass import HANDLERS, LayerwisePass
from whence.attribution.graph.node import Node, Recording, aten
from whence.attribution.graph.pull import Messages
from whence.attribution.graph.rules import Numbers, Signs, divide_away
from whence.attribution.graph.sharing import give
from whence.attribution.graph.walk_back import walk_back
from whence.attribution.method import Method
from whence.attribution.score import Score


def excitation_backprop(
    score: Score,
    images: Tensor,
    *,
    contrastive: bool = False,
    weights: MemoryWeights | None = None,
) -> FoundRelevance:
    """Send the probability 1 back from the score, each unit to those that excite it.

    Zhang et al. (2016), arXiv:1608.00507, equation 5: an input is drawn in proportion to itself
    times its weight, if that is above 0; biases take no part. Batch normalisation passes all on, as
    in the authors' code. Inputs below 0, which the paper does not have, count with the weights that
    are below 0. Skips, and what the paper has no rule for, are treated as in ``lrp``.

    Args:
        score: of B images; of votes the weight of a class.
        images: `(B, C, H, W)`.
        contrastive: from what the last dense layer passes on, what it would with all its weights
            turned round is taken off (section 3.3); what is left may be below 0.
        weights: "constant" or "explained", the weights of the evidence, as in ``lrp``.

    Returns:
        Probabilities, which add up to 1 with those of the evidence, but for units that nothing
        excites; contrastive ones to about 0.

    Raises:
        ValueError: on weights that do not fit, or an operation without a rule.
        RuntimeError: if the score does not depend on the images.
    """

    def explain(recording: Recording) -> FoundByLayers:
        given = torch.ones_like(recording.output.value)
        own = ExcitationPass(Ledger(len(given), given), contrastive=contrastive)
        return split_found(walk_back(recording, given, own), {})

    kind = "contrastive Excitation Backprop" if contrastive else "Excitation Backprop"
    meaning = "minus that of all other answers " if contrastive else ""
    return find_by_layers(
        score,
        images,
        explain,
        known=HANDLERS,
        weights=weights,
        sentence=f"A pixel's number is the probability {meaning}that it is what excites the "
        f"answer, by {kind}.",
        merged=False,
        adds_up=False,
    )


class ExcitationPass(LayerwisePass):
    """What Excitation Backprop does with each operation.

    Args:
        ledger: where it is written down what is lost.
        contrastive: the first dense layer on the way back is the contrast.
    """

    def __init__(self, ledger: Ledger, *, contrastive: bool) -> None:
        rule, numbers = "z_plus", Numbers(epsilon=0.0, spread_biases=True)
        super().__init__(Composite(rule, rule, rule), numbers, ledger, (0.0, 1.0))
        self.contrastive = contrastive

    def __call__(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Share what arrives at an operation."""
        if node.operation is aten.native_batch_norm:
            return give(self, node, arriving)
        return super().__call__(node, arriving)

    def share_layer(self, node: Node, layer: Affine, relevance: Tensor) -> Messages:
        """Share by what excites, and take off what would if the weights were turned round."""
        if not self.contrastive:
            return super().share_layer(node, layer, relevance)
        self.contrastive = False
        signs = Signs(layer, self.numbers)
        towards, against = (
            signs.share(divide_away(relevance, signs.total(sign), 0.0), sign) for sign in (0, 1)
        )
        return [(layer.slot, towards - against)]


EXCITATION_BACKPROP = Method(
    "excitation_backprop", excitation_backprop, adds_up=False, lighter="pixels"
)
