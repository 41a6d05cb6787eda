"""How answers fare with memories of several sizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MemorySize:
    """What was measured with one smaller memory; fractions in [0, 1], higher is better.

    Attributes:
        selection: how its images were chosen, a name from ``SELECTIONS``; "all" for the whole.
        size: stored images.
        accuracy: share of the answers that are right.
        balanced_accuracy: mean of the recalls of the classes.
        explanation_accuracy: share of the answers whose top stored image the model itself puts in
            the answered class.
        purity: mean weight on stored images of the true class.
    """

    selection: str
    size: int
    accuracy: float
    balanced_accuracy: float
    explanation_accuracy: float
    purity: float
