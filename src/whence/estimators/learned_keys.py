"""Keys of feature vectors that votes compare, and how they are learned."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whence.memory.votes import Votes
from whence.seeds import seed_global
from whence.training.labelled import Labelled
from whence.training.plan import Plan
from whence.training.recipes import RECIPES
from whence.training.voting import fit_votes


class VoteEvidence(NamedTuple):
    """One answer, and the stored samples whose labels it is made of, the heaviest first."""

    predicted: object  # the class
    probability: float  # the weight on its samples
    places: NDArray[np.int64]  # (A,) among the stored samples, in the order in which they came
    labels: NDArray[Any]  # (A,)
    weights: NDArray[np.float64]  # (A,), they add up to 1
    similarities: NDArray[np.float64]  # (A,) cosines of the keys, in [-1, 1]
    sources: tuple[str, ...] | None = None  # A files; None where samples are none


@dataclass(frozen=True)
class LearnedKeys:
    """What turns samples into keys.

    Attributes:
        head: with the learned keys, float64.
        mean, deviation: `(D,)` of the samples that they were learned from.
    """

    head: Votes
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def lift(self, values: NDArray[np.float64]) -> Tensor:
        """Standardise samples `(N, D)` and lay them on a sphere, `(N, D + 1)` float64.

        The inverse of the stereographic projection: cosines see directions alone, and on the sphere
        no two samples have the same.
        """
        return lay_on_sphere((values - self.mean) / self.deviation)


def lay_on_sphere(standard: NDArray[np.float64]) -> Tensor:
    """Lay standardised samples `(N, D)` on a sphere, `(N, D + 1)` float64."""
    plain = torch.from_numpy(standard) / standard.shape[1] ** 0.5
    square = plain.square().sum(1, keepdim=True)
    lifted: Tensor = torch.cat([2 * plain, square - 1], 1) / (square + 1)
    return lifted


def learn_keys(
    values: NDArray[np.float64],
    places: NDArray[Any],
    counts: NDArray[np.float64],
    *,
    classes: int,
    keys: str,
    epochs: int,
    seed: int,
) -> LearnedKeys:
    """Learn keys of samples.

    Args:
        values: `(N, D)`.
        places: `(N,)` of their classes.
        counts: `(N,)` how much each counts in the loss, 1 on average.
        classes: K.
        keys: "mlp" or "linear".
        epochs: of the training.
        seed: of it.
    """
    mean = values.mean(0)
    deviation = np.where(values.std(0) > 0, values.std(0), 1.0)
    features, labels = lay_on_sphere((values - mean) / deviation).float(), torch.from_numpy(places)
    alike = bool((counts == counts[0]).all())
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        head = Votes(features.shape[1], classes, classifier=keys)
    with torch.enable_grad():
        fit_votes(
            head.train(),
            Labelled(features, labels),
            None,
            recipe=RECIPES["at-once"],
            plan=Plan(epochs=epochs, memory_size=len(labels), seed=seed),
            counts=None if alike else torch.from_numpy(counts).float(),
        )
    learned = head.eval().requires_grad_(requires_grad=False).double()
    return LearnedKeys(learned, mean, deviation)
