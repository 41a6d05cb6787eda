"""Relevance of pixels: what an attribution method found, in units that it says itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

from torch import Tensor

from whence.messages import format_number
from whence.records.picture import colour, find_factor, find_limit, shown_size, to_data_uri

EVIDENCE = "evidence"
"""The line of a ledger for the evidence of an image."""

OUTSIDE = "outside the evidence"
"""The line of a ledger for stored images that are not evidence of the image."""

WITHOUT_VOTE = "compared"
"""The line of a ledger for stored images without a vote that log-odds are against."""

SHOWN_IMAGES, SHOWN_EVIDENCE = 10, 5
"""Images, and evidence images of each, that a notebook shows; the rest is counted."""


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
        compared: for each image `(R, C, h, w)`, of stored images that are no evidence, but that its
            score compares it with: of a class that nothing votes for the most similar one.
        compared_indices: for each image their dataset indices.
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
    compared: tuple[Tensor, ...] = ()
    compared_indices: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape, counts = tuple(self.images.shape), [len(one) for one in self.evidence]
        return f"Relevance({self.method}, images {shape}, evidence images {counts})"

    def _repr_html_(self) -> str:
        return show_relevance(self)

    @property
    def words(self) -> str:
        """Say what a pixel's number means, and of which images every number is 0."""
        blank = [row for row, one in enumerate(self.images) if not one.any()]
        if not blank:
            return self.sentence
        shown = ", ".join(map(str, blank[:5])) + (", ..." if len(blank) > 5 else "")
        of = f"image{'s' if len(blank) > 1 else ''} {shown}" if len(self) > 1 else "the image"
        return (
            f"{self.sentence} Every number of {of} is 0: nothing that this method tries or reads "
            "there changes the score."
        )

    def channel_maximum(self) -> "Relevance":
        """Give every pixel the largest absolute value of its channels, without a sign.

        Simonyan, Vedaldi and Zisserman (2014), arXiv:1312.6034, section 3.1, who show gradients so.
        The channels share the number equally, so that their sum is that value.
        """
        return replace(
            self,
            images=share_maximum(self.images),
            evidence=tuple(share_maximum(one) for one in self.evidence),
            compared=tuple(share_maximum(one) for one in self.compared),
            rest=None,
            ledger=None,
            sentence=f"Of each pixel the largest size over its channels. {self.sentence}",
        )

    def take(self, row: int) -> "Relevance":
        """Keep one image, still as a batch (of one)."""
        one = slice(row, row + 1)
        ledger = self.ledger
        return replace(
            self,
            images=self.images[one],
            evidence=self.evidence[one],
            compared=self.compared[one],
            compared_indices=self.compared_indices[one],
            rest=None if self.rest is None else self.rest[one],
            score=self.score[one],
            start=self.start[one],
            ledger=ledger and {name: amounts[one] for name, amounts in ledger.items()},
            target=self.target[one],
        )


def share_maximum(values: Tensor) -> Tensor:
    """Share the largest absolute value over the channels of `(n, C, H, W)` among them.

    >>> import torch
    >>> share_maximum(torch.tensor([1.0, -3.0]).view(1, 2, 1, 1)).flatten()
    tensor([1.5000, 1.5000])
    """
    channels = values.shape[1]
    return (values.abs().amax(1, keepdim=True) / channels).expand(-1, channels, -1, -1)


def show_relevance(relevance: Relevance) -> str:
    """Lay relevance out as pictures for a notebook: a row per image, its evidence beside it."""
    rows = [show_row(relevance, row) for row in range(min(SHOWN_IMAGES, len(relevance)))]
    more = len(relevance) - len(rows)
    last = f"<p>{more:,} more image{'s' if more > 1 else ''} not shown</p>" if more else ""
    return (
        f"<p>{escape(relevance.method)}: {escape(relevance.words)} Red is above 0, blue below, "
        f"white 0.</p><table>{''.join(rows)}</table>{last}"
    )


def show_row(relevance: Relevance, row: int) -> str:
    """Colour one image and its evidence on one scale, told beneath them."""
    own = relevance.images[row].sum(0)  # (H, W)
    stored = [*relevance.evidence[row].sum(1)]  # A times (h, w)
    limit = find_limit([own])
    factor = find_factor(limit, find_limit(stored)) if stored else 1
    title = f"{relevance.target[row]}: {float(relevance.score[row]):.3g}"
    cells = [show_picture(own, limit, title)]
    for place, one in enumerate(stored[:SHOWN_EVIDENCE]):
        times = f", {factor:,} times stronger" if factor > 1 else ""
        cells.append(show_picture(one, limit / factor, f"evidence image {place + 1}{times}"))
    more = len(stored) - SHOWN_EVIDENCE
    if more > 0:
        cells.append(f"<td>and {more:,} more evidence image{'s' if more > 1 else ''}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def show_picture(relevance: Tensor, limit: float, title: str) -> str:
    """Colour relevance `(H, W)` and write its sum and the end of the scale beneath it."""
    total = format_number(float(relevance.sum()), "+.3g")
    words = f"{escape(title)}<br>sum {total}, full colour at \N{PLUS-MINUS SIGN}"
    height, width = relevance.shape
    return (
        f'<td style="text-align:center"><img src="{to_data_uri(colour(relevance, limit))}" '
        f'width="{shown_size(height, width)}" style="image-rendering:pixelated" '
        f'alt="{escape(title)}"><br>{words}{limit:.2g}</td>'
    )
