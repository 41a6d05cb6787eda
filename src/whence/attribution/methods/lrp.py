"""Layer-wise relevance propagation, by any rule, with a ledger of where the score went."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.composites import choose_rules
from whence.attribution.graph.layers import MemoryWeights
from whence.attribution.graph.rules import Numbers
from whence.attribution.graph.share_score import share_score
from whence.attribution.method import Method
from whence.attribution.score import Score


def lrp(
    score: Score,
    images: Tensor,
    *,
    rule: str | None = None,
    composite: str | None = None,
    epsilon: float = 1e-6,
    alpha: float = 2.0,
    beta: float = 1.0,
    gamma: float = 0.25,
    low: float = 0.0,
    high: float = 1.0,
    spread_biases: bool = False,
    weights: MemoryWeights | None = None,
) -> FoundRelevance:
    """Send the score back through a network, each layer sharing what it gets among its inputs.

    Bach et al. (2015), 10.1371/journal.pone.0130140; the method is described as patented by its
    authors' side (free for personal and scientific purposes).

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        rule: one for all layers with weights, from ``RULES``, or "box", which is for the first
            layers and leaves z+ to the others.
        composite: a name from ``COMPOSITES``; without it and without a rule "epsilon" is the rule.
        epsilon: what is added to every denominator, with its sign; it takes a part of the
            relevance, which is a line of the ledger.
        alpha: how much of what speaks for a unit counts; alpha minus beta is 1.
        beta: how much of what speaks against it counts.
        gamma: by how much more counts what has the sign of the unit.
        low: the least value of a pixel, for the box.
        high: the largest.
        spread_biases: inputs share what biases took, in proportion; otherwise a bias is an input
            worth 1, and what it takes is a line of the ledger.
        weights: "constant" takes the weights of the evidence as they are; "explained" sends
            relevance through them, by the similarities, to the images compared. None is
            "explained" for votes, whose score is then the weight of a class, else "constant".

    Returns:
        Signed shares in score units; they add up to the score with the lines of the ledger.

    Raises:
        ValueError: on an unknown name, numbers that do not fit, or an operation without a rule.
        RuntimeError: if the score does not depend on the images.
    """
    check_lrp_numbers(epsilon, alpha, beta, gamma, low, high)
    return share_score(
        score,
        images,
        choose_rules(rule, composite),
        Numbers(epsilon, alpha, beta, gamma, spread_biases),
        bounds=(low, high),
        weights=weights,
        sentence="A pixel's number is what layer-wise relevance propagation gives it of the score, "
        "in units of the score.",
    )


def check_lrp_numbers(
    epsilon: float, alpha: float, beta: float, gamma: float, low: float, high: float
) -> None:
    """Refuse numbers that rules cannot be told.

    Raises:
        ValueError: with what came.
    """
    for name, value in (("epsilon", epsilon), ("beta", beta), ("gamma", gamma)):
        if not 0 <= value < torch.inf:
            raise ValueError(f"{name} must be at least 0, got {value}.")
    if not abs(alpha - beta - 1) < 1e-6:
        raise ValueError(f"alpha minus beta must be 1, got {alpha} and {beta}.")
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}.")


LRP = Method("lrp", lrp, adds_up=True, lighter="pixels")
