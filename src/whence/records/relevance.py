"""Relevance of pixels: what an attribution method found, in units that it says itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

OUTSIDE = "outside the evidence"
"""The line of a ledger for stored images that are not evidence of the image."""


@dataclass(frozen=True, eq=False, repr=False)
class Relevance:
    """Relevance of every pixel of B images and of their evidence for a score; on the CPU.

    Attributes:
        images: `(B, C, H, W)` of the images' pixels, in units that ``sentence`` says; float32
            (float64 from a float64 model).
        evidence: for each image `(A, C, h, w)`, of its evidence images, highest weight first; A is
            0 where the model has no memory, or the method looks at the image alone.
        rest: `(B,)`, what falls on stored images outside the evidence; None where nothing can.
        score: `(B,)`, the number that is explained.
        start: `(B,)`, the score where the method starts, 0 where it starts nowhere.
        ledger: where ``score - start`` went: names and amounts `(B,)`, float64, which add up to
            it; None for a method that promises no sum.
        target: for each image what the score is, in words: "logit of dog".
        method: its name.
        options: all options of the method, by name.
        sentence: what a pixel's number means, and its unit.
    """

    images: Tensor
    evidence: tuple[Tensor, ...]
    rest: Tensor | None
    score: Tensor
    start: Tensor
    ledger: Mapping[str, Tensor] | None
    target: tuple[str, ...]
    method: str
    options: Mapping[str, object]
    sentence: str

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape, counts = tuple(self.images.shape), [len(one) for one in self.evidence]
        return f"Relevance({self.method}, images {shape}, evidence images {counts})"

    def take(self, row: int) -> "Relevance":
        """Keep one image, still as a batch (of one)."""
        one = slice(row, row + 1)
        ledger = self.ledger
        return replace(
            self,
            images=self.images[one],
            evidence=self.evidence[one],
            rest=None if self.rest is None else self.rest[one],
            score=self.score[one],
            start=self.start[one],
            ledger=ledger and {name: amounts[one] for name, amounts in ledger.items()},
            target=self.target[one],
        )
