"""Layer-wise relevance propagation of a score, by given rules."""

from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.composites import Composite
from whence.attribution.graph.layers import FoundByLayers, find_by_layers, split_found
from whence.attribution.graph.ledger import Ledger
from whence.attribution.graph.lrp_pass import HANDLERS, LayerwisePass
from whence.attribution.graph.node import Recording
from whence.attribution.graph.rules import Numbers
from whence.attribution.graph.walk_back import walk_back
from whence.attribution.score import Score


def share_score(
    score: Score,
    images: Tensor,
    composite: Composite,
    numbers: Numbers,
    *,
    bounds: tuple[float, float],
    weights: str | None,
    sentence: str,
) -> FoundRelevance:
    """Send a score back to the pixels, and keep a ledger.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        composite: which rule is for which layers.
        numbers: what rules are told.
        bounds: the least and the largest value of a pixel.
        weights: as for ``choose_weights``.
        sentence: what a pixel's number means.
    """

    def explain(recording: Recording) -> FoundByLayers:
        given = recording.output.value
        ledger = Ledger(len(given), given)
        own = LayerwisePass(composite, numbers, ledger, bounds)
        return split_found(walk_back(recording, given, own), ledger.lines)

    return find_by_layers(
        score, images, explain, known=HANDLERS, weights=weights, sentence=sentence
    )
