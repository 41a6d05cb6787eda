"""A classifier of scikit-learn's kind whose answers are the votes of stored samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from whence.bounds import check_number
from whence.memory.attention import score, weigh
from whence.memory.votes import Votes
from whence.messages import quote
from whence.seeds import seed_global
from whence.training.labelled import Labelled
from whence.training.plan import Plan
from whence.training.recipes import RECIPES
from whence.training.voting import fit_votes

AT_ONCE = 256
"""Samples answered at once."""


class VoteEvidence(NamedTuple):
    """One answer, and the stored samples whose labels it is made of, the heaviest first."""

    predicted: object  # the class
    probability: float  # the weight on its samples
    places: NDArray[np.int64]  # (A,) among the stored samples, in the order in which they came
    labels: NDArray[Any]  # (A,)
    weights: NDArray[np.float64]  # (A,), they add up to 1
    similarities: NDArray[np.float64]  # (A,) cosines of the keys, in [-1, 1]


# scikit-learn has no types
class EvidenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify feature vectors by the votes of stored ones: every answer is its evidence.

    The probability of a class is the weight on the stored samples that carry its label; weights are
    sparse (sparsemax, Martins and Astudillo 2016) and come from the cosines of learned keys, as in
    matching networks (Vinyals et al. 2016) with neighbourhood components analysis (Goldberger et
    al. 2004). For any features: of images, text, or tables.

    Args:
        keys: "mlp", a projection with a network of one hidden layer beside it, or "linear".
        epochs: of the training of the keys.
        class_weight: None, "balanced", or a weight for each class, by which those of its samples
            are multiplied.
        random_state: of the training: a number, a random state of NumPy, or None for another
            training every time.

    Attributes:
        classes_: `(K,)`.
        n_features_in_: D.
        labels_: `(M,)` of the stored samples.

    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> model = EvidenceClassifier(random_state=0).fit(X[::2], y[::2])
    >>> [answer] = model.explain(X[1:2])
    >>> answer.predicted, set(answer.labels.tolist())
    (np.int64(0), {0})
    """

    classes_: NDArray[Any]
    n_features_in_: int
    labels_: NDArray[Any]
    _keys: Tensor  # (M, E)
    _leads: Tensor  # (M,)

    def __init__(
        self,
        *,
        keys: str = "mlp",
        epochs: int = 80,
        class_weight: str | dict[Any, float] | None = None,
        random_state: Any = None,
    ) -> None:
        self.keys = keys
        self.epochs = epochs
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "EvidenceClassifier":
        """Train the keys and store the samples.

        Args:
            X: `(N, D)`.
            y: `(N,)` classes.
            sample_weight: `(N,)` how much each counts in the loss; as a stored sample the logarithm
                of it, divided by the mean of all, is added to its similarity, as if there were so
                many. Those of 0 are left out.

        Raises:
            ValueError: if there is one class alone, or something does not fit.
        """
        check_number("epochs", self.epochs)
        values, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        counts = np.ones(len(values))
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, values, ensure_non_negative=True)
        if self.class_weight is not None:
            counts = counts * compute_sample_weight(self.class_weight, labels)
        values, labels, counts = values[counts > 0], labels[counts > 0], counts[counts > 0]
        self.classes_, places = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "EvidenceClassifier needs samples of at least two classes, got one class: "
                f"{quote(str(self.classes_[0]))}."
            )
        counts = counts / counts.mean()
        self._learn(values, places, counts)
        self._keys, self._leads = self._embed_all(values), torch.from_numpy(counts).log()
        self.labels_ = labels
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: Sequence[Any] | None = None,
    ) -> "EvidenceClassifier":
        """Store more samples; the keys stay as they are. The first call is ``fit``.

        Args:
            X: `(N, D)`.
            y: `(N,)` classes, each one of those that were fitted.
            classes: not needed; the first call must hold samples of every class.

        Raises:
            ValueError: if a class is not one of them.
        """
        if not hasattr(self, "classes_"):
            return self.fit(X, y)
        values, labels = validate_data(self, X, y, dtype=np.float64, reset=False)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"Class {quote(str(unknown[0]))} is not one of those that were fitted; call fit "
                "with samples of every class."
            )
        self._keys = torch.cat([self._keys, self._embed_all(values)])
        self._leads = torch.cat([self._leads, self._leads.new_zeros(len(values))])
        self.labels_ = np.concatenate([self.labels_, labels])
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Answer with the class of most weight; `(N,)`."""
        shares = self.predict_proba(X)
        answers: NDArray[Any] = self.classes_[shares.argmax(1)]
        return answers

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Say how much weight lies on the stored samples of each class; `(N, K)`."""
        values = self._check(X)
        one_hot = torch.from_numpy(self.labels_[:, None] == self.classes_).double()
        parts = [self._weigh(self._compare(some)) @ one_hot for some in self._embed(values)]
        shares = torch.cat(parts)
        return (shares / shares.sum(1, keepdim=True)).numpy()

    def explain(self, X: ArrayLike) -> list[VoteEvidence]:
        """Name the stored samples that each answer is made of."""
        answers = []
        for some in self._embed(self._check(X)):
            cosines = self._compare(some)
            for own, near in zip(self._weigh(cosines), cosines, strict=True):
                places = own.nonzero()[:, 0]
                places = places[own[places].argsort(descending=True, stable=True)]
                labels = self.labels_[places.numpy()]
                held = own[places]
                shares = [
                    float(held[torch.from_numpy(labels == one)].sum()) for one in self.classes_
                ]
                best = int(np.argmax(shares))
                answers.append(
                    VoteEvidence(
                        self.classes_[best],
                        shares[best],
                        places.numpy(),
                        labels,
                        own[places].numpy(),
                        near[places].numpy(),
                    )
                )
        return answers

    def kneighbors(
        self,
        X: ArrayLike | None = None,
        n_neighbors: int = 10,
        return_distance: bool = True,
    ) -> NDArray[np.int64] | tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the nearest stored samples by their keys.

        Args:
            X: `(N, D)`; None asks the stored samples, each without itself.
            n_neighbors: how many.
            return_distance: give 1 minus the cosine of the keys as well.

        Returns:
            `(N, n_neighbors)` distances, if asked for, and places among the stored samples.

        Raises:
            ValueError: if there are not so many.
        """
        check_is_fitted(self)
        most = len(self.labels_) - (X is None)
        if not 1 <= n_neighbors <= most:
            raise ValueError(f"n_neighbors must be in 1 to {most}, got {n_neighbors}.")
        keys = self._keys if X is None else self._embed_all(self._check(X))
        cosines = torch.cat(
            [self._head.unscale(self._compare(some)) for some in keys.split(AT_ONCE)]
        )
        if X is None:
            cosines.fill_diagonal_(-torch.inf)
        near = cosines.topk(n_neighbors, 1)
        places = near.indices.numpy()
        return (1 - near.values.numpy(), places) if return_distance else places

    def _learn(self, values: NDArray[Any], places: NDArray[Any], counts: NDArray[Any]) -> None:
        """Train the keys on samples `(N, D)` of the classes at ``places`` `(N,)`."""
        self._mean = values.mean(0)
        self._deviation = np.where(values.std(0) > 0, values.std(0), 1.0)
        features, labels = self._lift(values).float(), torch.from_numpy(places)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        alike = bool((counts == counts[0]).all())
        weights = None if alike else torch.from_numpy(counts).float()
        with torch.random.fork_rng(devices=[]):
            seed_global(seed)
            head = Votes(features.shape[1], len(self.classes_), classifier=self.keys)
        recipe = RECIPES["at-once"]
        with torch.enable_grad():
            fit_votes(
                head.train(),
                Labelled(features, labels),
                None,
                recipe=recipe,
                plan=Plan(epochs=self.epochs, memory_size=len(labels), seed=seed),
                counts=weights,
            )
        self._head = head.eval().requires_grad_(requires_grad=False).double()

    def _check(self, X: ArrayLike) -> NDArray[np.float64]:
        """Check samples `(N, D)` that are asked about."""
        check_is_fitted(self)
        values: NDArray[np.float64] = validate_data(self, X, dtype=np.float64, reset=False)
        return values

    def _lift(self, values: NDArray[np.float64]) -> Tensor:
        """Standardise samples `(N, D)` and lay them on a sphere, `(N, D + 1)` float64.

        The inverse of the stereographic projection: cosines see directions alone, and on the sphere
        no two samples have the same.
        """
        plain = torch.from_numpy((values - self._mean) / self._deviation) / values.shape[1] ** 0.5
        square = plain.square().sum(1, keepdim=True)
        lifted: Tensor = torch.cat([2 * plain, square - 1], 1) / (square + 1)
        return lifted

    def _embed(self, values: NDArray[np.float64]) -> list[Tensor]:
        """Make keys `(n, E)` of samples `(N, D)`, part by part."""
        with torch.no_grad():
            return [self._head.embed(some) for some in self._lift(values).split(AT_ONCE)]

    def _embed_all(self, values: NDArray[np.float64]) -> Tensor:
        """Make keys `(N, E)` of samples `(N, D)`."""
        return torch.cat([*self._embed(values)])

    def _compare(self, keys: Tensor) -> Tensor:
        """Compute the cosines `(n, M)` of keys `(n, E)` and those of the stored samples."""
        scores = score(keys, self._keys, similarity=self._head.similarity)
        cosines: Tensor = self._head.unscale(scores)
        return cosines

    def _weigh(self, cosines: Tensor) -> Tensor:
        """Weigh the stored samples by cosines `(n, M)` and what they count; `(n, M)`."""
        return weigh(cosines * self._head.sharpness + self._leads)
