"""The heatmaps of an answer that are shown, and the colour scale that they share."""

from dataclasses import dataclass

from torch import Tensor

from whence.records.explained import Answer
from whence.report.picture import find_factor, find_limit


@dataclass(frozen=True)
class Colours:
    """The heatmaps that are shown, summed over channels, and the scale of their colours.

    Attributes:
        image: `(H, W)`, of the image asked about.
        stored: by place in the evidence, `(H, W)` of the example and the counterfactual.
        limit: the value of the image's pixels at the end of the scale.
        factor: so many times stronger stored images are coloured; their pixels count less.
    """

    image: Tensor
    stored: dict[int, Tensor]
    limit: float
    factor: int


def find_colours(answer: Answer) -> Colours | None:
    """Take the heatmaps that are shown, and choose the colour scale that they share."""
    maps, explanation = answer.maps, answer.explanation
    if maps is None:
        return None
    stored = {
        explanation.evidence.index(item): maps.evidence[0][explanation.evidence.index(item)].sum(0)
        for item in (explanation.example, explanation.counterfactual)
        if item is not None
    }
    own = maps.images[0].sum(0)  # (H, W)
    limit = find_limit([own])
    factor = find_factor(limit, find_limit([*stored.values()])) if stored else 1
    return Colours(own, stored, limit, factor)
