"""What a measure of faithfulness is: how it is computed, and which way is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True, eq=False)
class FaithfulnessMeasure:
    """One way to measure how well relevance tells what a score hangs on.

    Attributes:
        compute: takes a score, images `(B, C, H, W)`, relevance `(B, H, W)`, and options by name;
            gives `(B,)`. The score maps images `(B, C, H, W)` to `(B,)`.
        better: which numbers a reader should hope for.
    """

    compute: Callable[..., Tensor]
    better: Literal["lower", "higher"]

    def __call__(
        self,
        score: Callable[[Tensor], Tensor],
        images: Tensor,
        relevance: Tensor,
        **options: Any,
    ) -> Tensor:
        """Measure every image; `(B,)`."""
        return self.compute(score, images, relevance, **options)
