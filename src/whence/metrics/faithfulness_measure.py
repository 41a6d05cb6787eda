"""What a measure of faithfulness is: how it is computed, what it needs, and which way is better."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from torch import Tensor

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness import FAITHFULNESS

Needed = Literal["explain", "ledger", "truth", "in_domain"]

LACKS: dict[Needed, str] = {
    "explain": "the attribution method, to ask it again",
    "ledger": "a method that keeps a ledger",
    "truth": "images of which it is known where the answer comes from",
    "in_domain": "a copy of the model that has learned with hidden patches",
}
"""What a measure may need beside images, relevance and answers."""


class MeasuredFaithfulness(NamedTuple):
    """What a measure found."""

    values: Tensor  # (B,) float64, one number per image; NaN where it is not defined
    curve: Tensor | None = None  # (B, S) what the numbers sum up, where there is a curve


@dataclass(frozen=True, eq=False)
class FaithfulnessMeasure:
    """One way to measure how well relevance tells what a score hangs on.

    Attributes:
        name: the one in ``FAITHFULNESS``.
        compute: takes an ``Attributed``, and options by name.
        better: which numbers a reader should hope for.
        question: what the number says, one sentence.
        control: the attribution method that knows nothing, and that any other must beat; "" where
            no such comparison makes sense.
        limit: what the mean must not exceed where there is no control; None for nothing.
        needs: fields of ``Attributed`` that may not be None.
    """

    name: str
    compute: Callable[..., MeasuredFaithfulness]
    better: Literal["lower", "higher"]
    question: str
    control: Literal["random", "edges", ""] = "random"
    limit: float | None = None
    needs: tuple[Needed, ...] = ()

    def __call__(self, attributed: Attributed, **options: Any) -> MeasuredFaithfulness:
        """Measure every image.

        Raises:
            ValueError: if something is missing that the measure needs.
        """
        for name in self.needs:
            if getattr(attributed, name) is None:
                raise ValueError(f"{self.name} needs {LACKS[name]}.")
        return self.compute(attributed, **options)

    @property
    def draws(self) -> bool:
        """Say whether it takes a generator."""
        return "generator" in inspect.signature(self.compute).parameters


def find_measure(name: str) -> FaithfulnessMeasure:
    """Look a measure of faithfulness up by name.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("FaithfulnessMeasure", FAITHFULNESS.find(name))
