"""Deep Taylor decomposition: z+ in every layer, and a rule of their own for the pixels."""

from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.composites import Composite
from whence.attribution.graph.layers import MemoryWeights
from whence.attribution.graph.rules import BOX, Numbers
from whence.attribution.graph.share_score import share_score
from whence.attribution.method import Method
from whence.attribution.score import Score


def deep_taylor(
    score: Score,
    images: Tensor,
    *,
    low: float | None = None,
    high: float | None = None,
    weights: MemoryWeights | None = None,
) -> FoundRelevance:
    """Expand every unit at a root of its own, found in the direction that its inputs allow.

    Montavon et al. (2017), 10.1016/j.patcog.2016.11.008: for rectified inputs that is the rule z+
    (section 4.2), for pixels between two bounds the rule of the box (z^B), for any real input that
    of the squared weights. Biases take no part, which is what the paper asks for by biases that are
    not above 0; skips, and what the paper has no rule for, are treated as in ``lrp``.

    Args:
        score: of B images; of votes the weight of a class.
        images: `(B, C, H, W)`.
        low: the least value of a pixel; None is 0 where pixels are in [0, 1], and elsewhere no
            bound, with the rule of the squared weights.
        high: the largest; None is 1, or no bound.
        weights: "constant" or "explained", the weights of the evidence, as in ``lrp``.

    Returns:
        Shares in score units; they add up to the score with the lines of the ledger.

    Raises:
        ValueError: on bounds that are none, weights that do not fit, or an operation without a
            rule.
    """
    if (low is None) != (high is None):
        raise ValueError("low and high must both be given, or neither, got one of them.")
    if low is None and score.bounded:
        low, high = 0.0, 1.0
    first = "w_squared" if low is None else BOX
    return share_score(
        score,
        images,
        Composite(first, "z_plus", "z_plus"),
        Numbers(epsilon=0.0, spread_biases=True),
        bounds=(low or 0.0, 0.0 if high is None else high),
        weights=weights,
        sentence="A pixel's number is its share of the score by deep Taylor decomposition, in "
        "units of the score.",
    )


DEEP_TAYLOR = Method("deep_taylor", deep_taylor, adds_up=True, lighter="pixels")
