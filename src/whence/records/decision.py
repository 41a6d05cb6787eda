"""The rule by which probabilities become answers, where it is not the highest one that wins."""

from dataclasses import dataclass

import torch
from torch import Tensor

from whence.records.class_measures import ClassMeasures


@dataclass(frozen=True)
class Decision:
    """One class is the answer from a threshold of its own on, else the most probable other one.

    Votes have a probability of 0 for a class that no stored image votes for, which no threshold
    finds. Their decision is a head start: the stored images of the class count as so much more
    similar than they are, and the class is the answer from half of the weight on.

    Attributes:
        place: index of the class.
        threshold: probability from which on it is the answer, in (0, 1].
        images: validation images that the threshold was chosen on.
        validation: how well the class was found there; its name is that of the class.
        target_recall: that it was chosen for, in (0, 1]; None where a cost was given.
        cost: of missing an image of the class, in times the cost of the reverse; None where a
            recall was given.
        head_start: added to the similarity of every stored image of the class, of votes; below 0
            the class is held back.
    """

    place: int
    threshold: float
    images: int
    validation: ClassMeasures
    target_recall: float | None = None
    cost: float | None = None
    head_start: float = 0.0

    def choose(self, probabilities: Tensor, ranks: Tensor) -> Tensor:
        """Choose the answers.

        Args:
            probabilities: `(N, K)` that people see.
            ranks: `(N, K)` the highest of which wins among the other classes.

        Returns:
            `(N,)` classes.
        """
        enough = probabilities[:, self.place].double() >= self.threshold  # (N,)
        return torch.where(enough, self.place, self.forbid(ranks).argmax(1))

    def forbid(self, ranks: Tensor) -> Tensor:
        """Set the class to minus infinity in `(N, K)`."""
        others = ranks.clone()
        others[:, self.place] = -torch.inf
        return others
