"""The relevance in an answer that is shown, and the colour scale that it shares."""

from dataclasses import dataclass

from torch import Tensor

from whence.records.explained import Answer
from whence.records.picture import find_factor, find_limit


@dataclass(frozen=True)
class Colours:
    """Relevance that is shown, summed over channels, and the scale of its colours.

    Attributes:
        image: `(H, W)`, of the image asked about.
        stored: by place in the evidence, `(H, W)` of the example and the counterfactual; empty
            where the method looks at the image alone.
        limit: the value of the image's pixels at the end of the scale.
        factor: so many times stronger stored images are coloured; their pixels count less.
    """

    image: Tensor
    stored: dict[int, Tensor]
    limit: float
    factor: int


def find_colours(answer: Answer) -> Colours | None:
    """Take the relevance that is shown, and choose the colour scale that it shares."""
    relevance, explanation = answer.relevance, answer.explanation
    if relevance is None:
        return None
    shown = [
        explanation.evidence.index(item)
        for item in (explanation.example, explanation.counterfactual)
        if item is not None
    ]
    of_evidence = relevance.evidence[0]
    stored = {place: of_evidence[place].sum(0) for place in shown if len(of_evidence)}
    own = relevance.images[0].sum(0)  # (H, W)
    limit = find_limit([own])
    factor = find_factor(limit, find_limit([*stored.values()])) if stored else 1
    return Colours(own, stored, limit, factor)
