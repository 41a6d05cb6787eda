"""What an attribution method gives back."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class FoundRelevance(NamedTuple):
    """Relevance of B images and of their E evidence images, on any device.

    A method that splits a score over pixels returns ``lines``: what it gave to something else, by
    name. Whatever is then missing is counted as unexplained. A method that promises no sum leaves
    ``lines`` out. A method that explains the weights of votes, not their logarithms, gives them.
    """

    images: Tensor  # (B, C, H, W)
    evidence: Tensor | None  # (E, C, h, w), as in ``Score.evidence``; None: not looked at
    sentence: str  # what a pixel's number means, and its unit
    start: Tensor | None = None  # (B,) the score where the method starts; None: it starts at 0
    lines: Mapping[str, Tensor] | None = None  # (B,) amounts that fall on no pixel
    score: Tensor | None = None  # (B,) of votes the weights of classes; None: the score itself
