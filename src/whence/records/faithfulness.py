"""How faithful attribution methods are to a model: one cell for each method and measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MeasureFacts:
    """What a reader must know of a measure.

    Attributes:
        name: in ``FAITHFULNESS``.
        better: which numbers to hope for.
        question: what the number says.
        control: the method that any other must beat; "" for none.
        limit: what the mean must reach where there is no control; None for nothing.
    """

    name: str
    better: Literal["lower", "higher"]
    question: str
    control: str
    limit: float | None


@dataclass(frozen=True)
class FaithfulnessCell:
    """One method, measured in one way.

    Attributes:
        values: one number per image, None where the measure is not defined.
        curve: means over the images, None where there is no curve.
        refused: why there are no numbers, "" where there are.
    """

    values: tuple[float | None, ...]
    curve: tuple[float, ...] | None = None
    refused: str = ""


@dataclass(frozen=True)
class CellSummary:
    """A cell over all images.

    Attributes:
        mean, low, high: of the images' numbers, with the 95 % interval; None without any.
        images: how many have a number; the mean leaves the others out.
        looked_at: how many were measured.
        passes: whether the method does better than the measure's control, or reaches its limit;
            None where that is no question.
        curve: means over the images.
        refused: why there are no numbers.
    """

    mean: float | None
    low: float | None
    high: float | None
    images: int
    looked_at: int
    passes: bool | None
    curve: tuple[float, ...] | None
    refused: str


@dataclass(frozen=True)
class Faithfulness:
    """Methods by measures, on images of one run.

    Attributes:
        methods: in order; those that are controls come last.
        controls: names of the rows that know nothing of the trained model.
        measures: in order.
        cells: by method and measure.
        images: that were explained.
        again: images on which a method was asked again.
        refill: what stood in the place of hidden pixels.
        notes: sentences that concern the whole table.
    """

    methods: tuple[str, ...]
    controls: tuple[str, ...]
    measures: tuple[MeasureFacts, ...]
    cells: Mapping[tuple[str, str], CellSummary]
    images: int
    again: int
    refill: str
    notes: tuple[str, ...] = ()

    def list_failures(self) -> dict[str, tuple[str, ...]]:
        """List for each measure the methods that do not pass it, controls left out."""
        return {
            one.name: tuple(
                method
                for method in self.methods
                if method not in self.controls and self.cells[method, one.name].passes is False
            )
            for one in self.measures
        }
