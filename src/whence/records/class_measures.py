"""How good answers are for one class."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassMeasures:
    """How good the answers are for one class.

    Attributes:
        name: of the class.
        images: of the class that were classified.
        right: how many of them were answered with the class.
        answers: how many images, of any class, were answered with it.
    """

    name: str
    images: int
    right: int
    answers: int

    @property
    def recall(self) -> float | None:
        """Share of the images of the class that were found; None without images."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """Share of the answers with the class that are right; None without such answers."""
        return self.right / self.answers if self.answers else None


def mean_recall(classes: Sequence[ClassMeasures]) -> float:
    """Compute balanced accuracy: the mean recall over the classes that have images."""
    return statistics.fmean(one.recall for one in classes if one.recall is not None)
