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
        near: `(H, W)` of the near miss, where the score compares the image with it; else None.
        limit: the value of the image's pixels at the end of the scale.
        factor: so many times stronger stored images are coloured; their pixels count less.
    """

    image: Tensor
    stored: dict[int, Tensor]
    near: Tensor | None
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
    own, near = relevance.images[0].sum(0), find_near(answer)  # (H, W)
    limit, others = find_limit([own]), [*stored.values()] + ([] if near is None else [near])
    factor = find_factor(limit, find_limit(others)) if others else 1
    return Colours(own, stored, near, limit, factor)


def find_near(answer: Answer) -> Tensor | None:
    """Take the relevance `(H, W)` of the near miss, if the score compares the image with it."""
    relevance, near = answer.relevance, answer.explanation.near_miss
    if relevance is None or near is None or not relevance.compared:
        return None
    known = zip(relevance.compared_indices[0], relevance.compared[0], strict=False)
    return next((one.sum(0) for index, one in known if index == near.index), None)
