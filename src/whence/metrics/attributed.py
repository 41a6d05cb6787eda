"""What a measure of faithfulness looks at: images, their relevance, and what can be asked again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from whence.shapes import check_shape

Logits: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Variants `(n, C, H, W)` of the images at rows `(n,)` to the model's logits `(n, K)`."""

Refill: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Images `(n, C, H, W)` and which pixels are hidden, `(n, H, W)` bool, to images without these."""


class Explain(Protocol):
    """An attribution method on a model, asked again."""

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """Find relevance `(n, H, W)` of variants `(n, C, H, W)` of the images at rows `(n,)`."""

    def toward(self, classes: Tensor) -> "Explain":
        """Explain the logits of other classes `(B,)`, one for each of all images."""

    def cascade(self) -> "Iterator[tuple[str, Explain]]":
        """Explain copies of the model with more and more layers randomised, from the top down."""


@dataclass(frozen=True, eq=False)
class Attributed:
    """Relevance of B images for the logit of a class each, and what measures of it may need.

    Attributes:
        images: `(B, C, H, W)` floats in ``low`` to ``high``.
        relevance: `(B, H, W)`, one number per pixel.
        classes: `(B,)` the classes whose logits are explained.
        logits: answers variants of the images; what hides a pixel hides all of its channels.
        refill: what stands in the place of hidden pixels; the same for equal arguments.
        low, high: the least and the largest value of a pixel.
        explain: the method, asked again; None where relevance is all there is.
        ledger: names and amounts `(B,)` of where the score went; None of a method without one.
        truth: `(B, H, W)` bool, True where the answer is known to come from; None where it is not.
        in_domain: the same for a copy of the model that has learned with hidden patches, or None.
        kept: answers that do not depend on relevance; several methods on the same images share it.
    """

    images: Tensor
    relevance: Tensor
    classes: Tensor
    logits: Logits
    refill: Refill
    low: float = 0.0
    high: float = 1.0
    explain: Explain | None = None
    ledger: Mapping[str, Tensor] | None = None
    truth: Tensor | None = None
    in_domain: "Attributed | None" = None
    kept: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        sizes = check_shape("images", self.images, "B C H W")
        places = {letter: sizes[letter] for letter in "BHW"}
        check_shape("relevance", self.relevance, "B H W", **places)
        check_shape("classes", self.classes, "B", B=sizes["B"])
        if self.truth is not None:
            check_shape("truth", self.truth, "B H W", **places)
        if not bool(self.relevance.isfinite().all()):
            raise ValueError("relevance must be finite, it holds NaN or infinity.")

    @property
    def rows(self) -> Tensor:
        """Number the images, `(B,)`."""
        return torch.arange(len(self.images))

    @property
    def method(self) -> Explain:
        """Return the method, to ask it again.

        Raises:
            ValueError: if there is none.
        """
        if self.explain is None:
            raise ValueError("explain must be the attribution method, which is asked again here.")
        return self.explain

    @property
    def true_places(self) -> Tensor:
        """Return `(B, H, W)` bool, True where the answer is known to come from.

        Raises:
            ValueError: if that is not known, or is nowhere.
        """
        if self.truth is None or not bool(self.truth.flatten(1).any(1).all()):
            raise ValueError("truth must mark at least one pixel of every image.")
        return self.truth

    def answer(self, variants: Tensor) -> Tensor:
        """Answer one variant of each image, `(B, C, H, W)`, with logits `(B, K)` in float64."""
        return self.logits(variants, self.rows).double()

    def score(self, variants: Tensor) -> Tensor:
        """Read the logit `(B,)` that is explained, of one variant of each image."""
        return read_class(self.answer(variants), self.classes)

    def hide(self, hidden: Tensor) -> Tensor:
        """Refill pixels `(B, H, W)` bool of the images, or `(H, W)` of them all."""
        return self.refill(self.images, hidden.expand(self.relevance.shape))

    def once(
        self, key: tuple[object, ...], make: Callable[[], Tensor], generator: torch.Generator
    ) -> Tensor:
        """Make what does not depend on relevance, or take it from an earlier method.

        Args:
            key: what it is and with which options.
            make: makes it.
            generator: of its draws. In the same state it would draw the same again.
        """
        state = generator.get_state()
        known = (*key, state.numpy().tobytes())
        if known not in self.kept:
            self.kept[known] = make()
        return self.kept[known]


def read_class(logits: Tensor, classes: Tensor) -> Tensor:
    """Read the logit `(B,)` of a class `(B,)` out of logits `(B, K)`."""
    return logits.gather(1, classes[:, None])[:, 0]


def read_probability(logits: Tensor, classes: Tensor) -> Tensor:
    """Read the probability `(B,)` of a class `(B,)` out of logits `(B, K)`."""
    return read_class(logits.softmax(1), classes)
