"""From a decision to words, from words to local features, from these to pixels: three steps."""

from typing import NamedTuple

import numpy as np
from sklearn.svm import SVC

from whence.studies.bag_of_words.kernels import BAG_KERNELS
from whence.studies.bag_of_words.tiles import Flags, Floats

ROOTS, HALVINGS = 10, 40
"""Training images of the other side that roots are looked for towards, and halvings of the way."""


class BagClassifier(NamedTuple):
    """A support vector machine over bags of words; its decision is above 0 for positive ones.

    Attributes:
        kernel: in ``BAG_KERNELS``.
        width: of the kernel.
        bags: `(S, V)` of the support vectors.
        weights: `(S,)` alpha times label.
        bias: b.
    """

    kernel: str
    width: float
    bags: Floats
    weights: Floats
    bias: float

    def decide(self, bags: Floats) -> Floats:
        """Compute decisions `(n,)` of bags `(n, V)`."""
        values = BAG_KERNELS[self.kernel].value(self.bags, bags, self.width)  # (S, n)
        found: Floats = self.weights @ values + self.bias
        return found

    def slope(self, bag: Floats) -> Floats:
        """Differentiate the decision by a bag, `(V,)`."""
        slope = BAG_KERNELS[self.kernel].slope
        if slope is None:
            raise ValueError(f"kernel {self.kernel} divides over words, it needs no slope.")
        found: Floats = self.weights @ slope(self.bags, bag, self.width)
        return found


def fit_bags(
    bags: Floats, positive: np.ndarray[tuple[int], np.dtype[np.bool_]], kernel: str, width: float
) -> BagClassifier:
    """Fit scikit-learn's SVC to bags `(N, V)`."""
    machine = SVC(C=10.0, kernel="precomputed")
    machine.fit(BAG_KERNELS[kernel].value(bags, bags, width), positive)
    chosen = bags[machine.support_]
    return BagClassifier(kernel, width, chosen, machine.dual_coef_[0], float(machine.intercept_[0]))


def explain_words(
    classifier: BagClassifier, bag: Floats, others: Floats, sides: Flags | None = None
) -> tuple[Floats, float]:
    """Divide a decision over words: exactly where the kernel does, else about a root.

    Bach et al. (2015), definitions 1 and 2. A kernel that does not divide is expanded at points
    where the decision is 0, on the ways to training bags of the other side; of these roots the one
    whose expansion misses least is taken.

    Args:
        classifier: of the decision.
        bag: `(V,)`.
        others: `(n, V)` bags of training images.
        sides: `(n,)` on which side of the decision they are; None asks the classifier.

    Returns:
        Relevance `(V,)`, and what of the decision it misses.
    """
    decision = float(classifier.decide(bag[None])[0])
    parts = BAG_KERNELS[classifier.kernel].parts
    if parts is not None:
        shares = classifier.weights @ parts(classifier.bags, bag, classifier.width)
        relevance: Floats = shares + classifier.bias / len(bag)
        return relevance, decision - float(relevance.sum())
    roots = find_roots(classifier, bag, others, sides)
    found = [(bag - root) * classifier.slope(root) for root in roots]
    misses = [decision - float(one.sum()) for one in found]
    best = int(np.argmin(np.abs(misses)))
    return found[best], misses[best]


def find_roots(
    classifier: BagClassifier, bag: Floats, others: Floats, sides: Flags | None = None
) -> list[Floats]:
    """Find points where the decision is 0 on the straight ways to bags of the other side.

    Args:
        classifier: of the decision.
        bag: `(V,)`.
        others: `(n, V)` bags of training images.
        sides: `(n,)` on which side they are; None asks the classifier.

    Raises:
        ValueError: if no training bag is on the other side.
    """
    side = classifier.decide(bag[None])[0] > 0
    if sides is None:
        sides = classifier.decide(others) > 0
    across = others[sides != side]
    if len(across) == 0:
        raise ValueError("others must hold a bag of the other side of the decision, got none.")
    nearest = across[np.argsort(((across - bag) ** 2).sum(1))[:ROOTS]]
    near, far = np.zeros(len(nearest)), np.ones(len(nearest))
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        inside = (classifier.decide(bag + middle[:, None] * (nearest - bag)) > 0) == side
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return [*(bag + far[:, None] * (nearest - bag))]


def pool_words(mapped: Floats, power: float) -> Floats:
    """Pool mapped local features `(..., L, V)` to bags `(..., V)` by their p-mean.

    Args:
        mapped: of each local feature.
        power: 1 averages, infinity takes the largest.
    """
    if np.isinf(power):
        largest: Floats = mapped.max(-2)
        return largest
    found: Floats = (mapped**power).mean(-2) ** (1 / power)
    return found


def explain_features(relevance: Floats, mapped: Floats, power: float) -> Floats:
    """Divide the relevance of words over local features, by their share in the pooled word.

    Bach et al. (2015), definitions 3 and 4; a word that no local feature has is shared equally, and
    so is a maximum among those that reach it.

    Args:
        relevance: `(V,)` of the words.
        mapped: `(L, V)` of each local feature.
        power: of the pooling.

    Returns:
        `(L,)`, which add up to the relevance of the words.
    """
    strength = mapped == mapped.max(0) if np.isinf(power) else mapped**power
    amounts = strength.astype(np.float64)
    amounts[:, ~mapped.any(0)] = 0
    whole = amounts.sum(0)
    small = np.abs(whole) <= 1e-12 * np.abs(amounts).sum(0).clip(1e-300)
    shares = np.where(small, 1 / len(mapped), amounts / np.where(small, 1, whole))
    found: Floats = shares @ relevance
    return found


def explain_pixels(
    relevance: Floats, squares: np.ndarray[tuple[int, ...], np.dtype[np.int64]], side: int
) -> Floats:
    """Spread the relevance of local features evenly over the pixels of their squares.

    Bach et al. (2015), equation 34.

    Args:
        relevance: `(L,)`.
        squares: `(L, 3)` top, left and side.
        side: of the image in pixels.

    Returns:
        `(side, side)`, which add up to the relevance of the local features.
    """
    found = np.zeros((side, side))
    for amount, (top, left, width) in zip(relevance, squares.tolist(), strict=True):
        found[top : top + width, left : left + width] += amount / width**2
    return found
