"""Testing with concept activation vectors: a concept's direction in a layer, and what it moves."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

LEVEL = 0.05
"""Probability of finding a difference where there is none, for all tests of a table together."""

CONCEPT_PENALTY = 0.1
"""What the sum of the losses counts beside half the squared weights of a direction."""

HELD_SHARE = 0.25
"""Share of the images of a concept, and of the others, that a direction is tried on."""


class Direction(NamedTuple):
    """A direction `(D,)` of length 1 towards a concept, and how often it tells left-out images."""

    towards: Tensor
    accuracy: float


class ConceptTest(NamedTuple):
    """Scores of a concept's directions beside those of random ones.

    Attributes:
        score: mean share of a class's images whose logit rises along the concept's directions.
        deviation: of the scores of single directions.
        random_score, random_deviation: the same of directions between random images.
        probability: of so large a difference where there is none (two-sided, Welch's t-test).
        accuracy: mean accuracy of the concept's directions on left-out images.
    """

    score: float
    deviation: float
    random_score: float
    random_deviation: float
    probability: float
    accuracy: float


def fit_direction(concept: Tensor, others: Tensor, generator: torch.Generator) -> Direction:
    """Fit the normal of a plane between a layer's features of a concept and of other images.

    Kim et al. (2018), arXiv:1711.11279, section 3.2. Features are standardised for the fit, so that
    channels of large numbers decide no more than others, and the normal is brought back.

    Args:
        concept: `(P, D)`.
        others: `(Q, D)`.
        generator: of the images that are left out.
    """
    from sklearn.linear_model import LogisticRegression

    parts = [divide_held(some, generator) for some in (concept, others)]
    known = torch.cat([kept for kept, _ in parts]).double()
    held = torch.cat([left for _, left in parts]).double()
    labels, asked = (np.repeat([1, 0], [len(one[part]) for one in parts]) for part in (0, 1))
    mean, deviation = known.mean(0), known.std(0, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-12), 0)
    fitted = LogisticRegression(C=CONCEPT_PENALTY, max_iter=1000)
    fitted.fit(((known - mean) * scale).numpy(), labels)
    accuracy = float(fitted.score(((held - mean) * scale).numpy(), asked))
    normal = torch.from_numpy(fitted.coef_[0]) * scale
    length = float(torch.linalg.vector_norm(normal))
    return Direction((normal / length if length > 0 else normal).float(), accuracy)


def divide_held(features: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Divide features `(N, D)` by chance in those to fit and those to try."""
    order = torch.randperm(len(features), generator=generator)
    held = max(1, round(HELD_SHARE * len(features)))
    return features[order[held:]], features[order[:held]]


def share_rising(slopes: Tensor, towards: Tensor) -> float:
    """Compute the share of images whose logit rises along a direction.

    Kim et al. (2018), section 3.3, equation 2. An image whose logit does not depend on the layer at
    all, as where votes are unanimous, counts half, so that 0.5 is chance.

    >>> share_rising(torch.tensor([[1.0, -1.0], [0.0, 2.0], [-1.0, 0.5], [0.0, 0.0]]),
    ...              torch.tensor([0.0, 1.0]))
    0.625
    """
    rises = ((slopes @ towards) > 0).float()
    return float(torch.where((slopes == 0).all(1), 0.5, rises).mean())


def fit_directions(
    concept: Tensor, others: Tensor, draws: int, size: int, generator: torch.Generator
) -> list[Direction]:
    """Fit directions to random halves of both: so many draws of so many images of each.

    Args:
        concept: `(P, D)`.
        others: `(Q, D)`.
        draws: how many directions.
        size: images of each in a draw; all if there are fewer.
        generator: of the draws.
    """
    return [
        fit_direction(
            take_random(concept, size, generator), take_random(others, size, generator), generator
        )
        for _ in range(draws)
    ]


def fit_random_directions(
    others: Tensor, draws: int, size: int, generator: torch.Generator
) -> list[Direction]:
    """Fit directions between two draws of the same images, which share none."""
    found = []
    for _ in range(draws):
        drawn = take_random(others, 2 * size, generator)
        half = len(drawn) // 2
        found.append(fit_direction(drawn[:half], drawn[half:], generator))
    return found


def take_random(features: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw so many rows without replacement."""
    return features[torch.randperm(len(features), generator=generator)[:size]]


def compare_scores(
    slopes: Tensor, directions: list[Direction], random: list[Direction]
) -> ConceptTest:
    """Test whether a concept's directions move a class otherwise than random ones do.

    Kim et al. (2018), section 3.4.

    Args:
        slopes: `(N, D)` of the class's logit for images of the class.
        directions: of the concept, at least two.
        random: of random images, at least two.
    """
    ours, theirs = (
        np.array([share_rising(slopes, one.towards) for one in some])
        for some in (directions, random)
    )
    return ConceptTest(
        score=float(ours.mean()),
        deviation=float(ours.std()),
        random_score=float(theirs.mean()),
        random_deviation=float(theirs.std()),
        probability=welch_probability(ours, theirs),
        accuracy=float(np.mean([one.accuracy for one in directions])),
    )


def welch_probability(one: np.ndarray, other: np.ndarray) -> float:
    """Test two samples for equal means (two-sided, unequal variances); 0 or 1 where none varies.

    Welch (1947). A sample of equal numbers is one without variance, which scipy would warn of.
    """
    from scipy.stats import t as student

    parts = [float(some.var(ddof=1)) / len(some) for some in (one, other)]
    gap, total = float(one.mean() - other.mean()), sum(parts)
    if total <= 1e-20:
        return float(abs(gap) < 1e-10)
    squares = [part**2 / (len(some) - 1) for part, some in zip(parts, (one, other), strict=True)]
    freedom = total**2 / sum(squares)
    return float(2 * student.sf(abs(gap) / total**0.5, freedom))


def is_moved(test: ConceptTest, tests: int) -> bool:
    """Say whether a difference is significant among so many tests (Bonferroni)."""
    return test.probability * tests < LEVEL
