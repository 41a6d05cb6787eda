"""How well the probability of a class finds its images, at every threshold."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from whence.records.show import show_record


@dataclass(frozen=True)
class ClassCurve:
    """One class against all others, over all thresholds of its probability; fractions in [0, 1].

    Attributes:
        name: of the class.
        images: of it, at least one.
        others: images of other classes, at least one.
        auroc: area under the ROC curve: how often an image of the class has a higher probability of
            it than another image; higher is better, 0.5 is a coin.
        average_precision: area under the precision-recall curve; higher is better, a coin has the
            share of the class.
        false_alarms, hits: of the ROC curve, shares of the others and of the class, both rising.
        recalls, precisions: of the precision-recall curve, recalls rising.
    """

    name: str
    images: int
    others: int
    auroc: float
    average_precision: float
    false_alarms: tuple[float, ...]
    hits: tuple[float, ...]
    recalls: tuple[float, ...]
    precisions: tuple[float, ...]


@dataclass(frozen=True)
class ThresholdRow:
    """What answering a class from one threshold on gives.

    Attributes:
        threshold: of its probability, in [0, 1].
        found: images of the class that are answered with it.
        false_alarms: other images that are.
        cost: of all mistakes, where missing an image costs ``ThresholdTable.cost`` and a false
            alarm 1.
        chosen: this is the threshold that the answers have.
    """

    threshold: float
    found: int
    false_alarms: int
    cost: float
    chosen: bool = False


@dataclass(frozen=True)
class ThresholdTable:
    """What several thresholds of one class give.

    Attributes:
        name: of the class.
        images: of it.
        others: images of other classes.
        cost: of missing an image of the class, where a false alarm costs 1.
        rows: by rising threshold.
    """

    name: str
    images: int
    others: int
    cost: float
    rows: tuple[ThresholdRow, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Answered:
    """Every answer of a measurement.

    Attributes:
        labels: `(N,)` int64, true classes; None where they are not known.
        predicted: `(N,)` int64, answers.
        probabilities: `(N, K)` float32.
        error_probabilities: `(N,)` float64, calibrated; None when the model is not.
        class_names: K names.
        sources: one file per image; None where there are none.
        reliance: `(N,)` share of each answer that comes from the memory; None without one.
    """

    labels: Tensor | None
    predicted: Tensor
    probabilities: Tensor
    error_probabilities: Tensor | None
    class_names: tuple[str, ...]
    sources: tuple[str, ...] | None = None
    reliance: Tensor | None = None

    __repr__ = show_record

    def rows(self) -> list[dict[str, Any]]:
        """Lay the answers out, one row an image."""
        names, total = self.class_names, len(self.predicted)
        predicted, shares = self.predicted.tolist(), self.probabilities.tolist()
        labels: list[Any] = [None] * total if self.labels is None else self.labels.tolist()
        errors = self.error_probabilities
        doubts: list[Any] = [None] * total if errors is None else errors.tolist()
        return [
            {
                "image": place if self.sources is None else self.sources[place],
                "label": None if labels[place] is None else names[labels[place]],
                "answer": names[predicted[place]],
                "right": None if labels[place] is None else labels[place] == predicted[place],
                "probability": shares[place][predicted[place]],
                **{f"probability of {n}": s for n, s in zip(names, shares[place], strict=True)},
                "error_probability": doubts[place],
            }
            for place in range(total)
        ]
