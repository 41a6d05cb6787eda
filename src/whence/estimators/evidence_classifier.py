"""A classifier of scikit-learn's kind whose answers are the votes of stored samples."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from whence.bounds import check_number, is_whole
from whence.encoders import ALL_DEPTHS, OUTPUT
from whence.estimators.image_features import (
    build_reader,
    encode_pictures,
    holds_images,
    keep_named,
    name_pictures,
)
from whence.estimators.learned_keys import VoteEvidence, learn_keys
from whence.estimators.sparse_samples import reduce_sparse, to_dense
from whence.memory.attention import score, weigh
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.labels import list_names
from whence.training.choose_layers import choose_layers, gather_columns, place_columns

AT_ONCE = 256
"""Samples answered at once."""

TEXTS = "OSU"
"""Kinds of NumPy's types that are no numbers."""


# scikit-learn has no types
class EvidenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify vectors, or images, by the votes of stored ones: every answer is its evidence.

    The probability of a class is the weight on the stored samples that carry its label; weights are
    sparse (sparsemax, Martins and Astudillo 2016) and come from the cosines of learned keys, as in
    matching networks (Vinyals et al. 2016) with neighbourhood components analysis (Goldberger et
    al. 2004). For any features: of images, text, or tables; or for images themselves (files, PIL
    images, arrays `(N, H, W)`, `(N, H, W, C)` or tensors `(N, C, H, W)`, or lists of these), which
    a frozen encoder turns into features each time they are asked about.

    Args:
        keys: "mlp", a projection with a network of one hidden layer beside it, or "linear".
        epochs: of the training of the keys.
        class_weight: None, "balanced", or a weight for each class, by which those of its samples
            are multiplied.
        encoder: of images: a module that maps `(B, 3, H, W)` to `(B, D)`, or a name as in
            ``whence.wrap``; feature vectors need none.
        weights: of an encoder by name: "default", or a file.
        image_size: pixels of a side that images are brought to; None is 64 for encoders of ours and
            224 for others.
        layers: names of modules of the encoder whose means are the features, as ``whence.wrap``
            takes them, ["output"] its own; None lets the first images choose among all depths, each
            left out in turn.
        random_state: of the training: a number, a random state of NumPy, or None for another
            training every time.

    Attributes:
        classes_: `(K,)`.
        n_features_in_: D.
        labels_: `(M,)` of the stored samples.
        layers_: whose means are the features of images; None where samples are none.
        sources_: M files of the stored samples; None where samples are none.

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
    layers_: tuple[str, ...] | None
    _reader: Classifier | None
    sources_: tuple[str, ...] | None
    _keys: Tensor  # (M, E)
    _values: NDArray[np.float64]  # (M, D)
    _leads: Tensor  # (M,)

    def __init__(
        self,
        *,
        keys: str = "mlp",
        epochs: int = 80,
        class_weight: str | dict[Any, float] | None = None,
        encoder: Any = None,
        weights: str | None = None,
        image_size: int | None = None,
        layers: Sequence[str] | None = None,
        random_state: Any = None,
    ) -> None:
        self.encoder = encoder
        self.weights = weights
        self.image_size = image_size
        self.layers = layers
        self.keys = keys
        self.epochs = epochs
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "EvidenceClassifier":
        """Train the keys and store the samples.

        Args:
            X: `(N, D)`, dense or sparse, or N images. Sparse samples of many numbers become short
                vectors by a truncated singular value decomposition.
            y: `(N,)` classes.
            sample_weight: `(N,)` how much each counts in the loss; as a stored sample the logarithm
                of it, divided by the mean of all, is added to its similarity, as if there were so
                many. Those of 0 are left out.

        Raises:
            ValueError: if there is one class alone, or something does not fit.
        """
        check_number("epochs", self.epochs)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._reader, self.layers_ = None, None
        if holds_images(X):
            self._read_at((ALL_DEPTHS,) if self.layers is None else self.layers)
        samples, labels = validate_data(
            self, self._read(X), y, dtype=np.float64, accept_sparse="csr"
        )
        check_classification_targets(labels)
        if self._reader is not None and self.layers is None:
            samples = self._choose_layers(self._reader, samples, labels)
        self._reduced = reduce_sparse(samples, seed=self._seed)
        values = to_dense(samples, self._reduced)
        counts = np.ones(len(values))
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, values, ensure_non_negative=True)
        if self.class_weight is not None:
            counts = counts * compute_sample_weight(self.class_weight, labels)
        self.sources_ = keep_named(name_pictures(X), counts > 0)
        values, labels, counts = values[counts > 0], labels[counts > 0], counts[counts > 0]
        self.classes_, places = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "EvidenceClassifier needs samples of at least two classes, got one class: "
                f"{quote(str(self.classes_[0]))}."
            )
        self._mean_count = float(counts.mean())
        counts = counts / self._mean_count
        self._learned = learn_keys(
            values,
            places,
            counts,
            classes=len(self.classes_),
            keys=self.keys,
            epochs=self.epochs,
            seed=self._seed,
        )
        self._head = self._learned.head
        self._keys, self._leads = self._embed_all(values), torch.from_numpy(counts).log()
        self._values, self.labels_ = values, labels
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: Sequence[Any] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "EvidenceClassifier":
        """Store more samples; the keys stay as they are. The first call is ``fit``.

        Of a class that was not fitted the keys know nothing: from then on the features themselves
        are compared beside them, whitened, as ``whence.edit`` does, with a warning.

        Args:
            X: `(N, D)`, or images.
            y: `(N,)` classes.
            classes: not needed; what the first call holds is what keys are learned for.
            sample_weight: `(N,)` how much each counts, beside 1 for one of mean weight in ``fit``;
                those of 0 are left out.

        Raises:
            ValueError: if classes are texts and those that were fitted are numbers, or the reverse,
                or ``y`` holds no classes.
        """
        if not hasattr(self, "classes_"):
            return self.fit(X, y, sample_weight)
        samples, labels = validate_data(
            self, self._read(X), y, dtype=np.float64, accept_sparse="csr", reset=False
        )
        check_classification_targets(labels)
        values = to_dense(samples, self._reduced)
        counts = np.ones(len(values))
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, values, ensure_non_negative=True)
            counts = counts / self._mean_count
        kept = counts > 0
        self._take_classes(np.setdiff1d(labels[kept], self.classes_))
        names = keep_named(name_pictures(X), kept)
        if self.sources_ is not None:
            added = names or ("",) * int(kept.sum())
            self.sources_ = (*self.sources_, *added)
        self._keys = torch.cat([self._keys, self._embed_all(values[kept])])
        self._leads = torch.cat([self._leads, torch.from_numpy(counts[kept]).log()])
        self._values = np.concatenate([self._values, values[kept]])
        self.labels_ = np.concatenate([self.labels_, labels[kept]])
        return self

    def _take_classes(self, new: NDArray[Any]) -> None:
        """Compare features beside the keys where classes `(n,)` come that these do not know.

        Raises:
            ValueError: if they are of another kind.
        """
        if not len(new):
            return
        if (new.dtype.kind in TEXTS) != (self.classes_.dtype.kind in TEXTS):
            raise ValueError(
                f"y must hold classes of the kind that was fitted, such as "
                f"{quote(self.classes_[0].item())}, got {quote(new[0].item())}."
            )
        warnings.warn(
            f"The keys were learned without {list_names([str(one) for one in new])}; measure the "
            "answers before you rely on them, or call fit with samples of every class.",
            stacklevel=3,
        )
        places = torch.from_numpy(np.searchsorted(self.classes_, self.labels_))
        self.classes_ = np.union1d(self.classes_, new)
        known = self._learned.lift(self._values)
        self._head = self._head.with_classes(len(self.classes_), known, places)
        self._keys = self._embed_all(self._values)

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
                        None
                        if self.sources_ is None
                        else tuple(self.sources_[place] for place in places.tolist()),
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
            X: `(N, D)`, or images; None asks the stored samples, each without itself.
            n_neighbors: how many.
            return_distance: give 1 minus the cosine of the keys as well.

        Returns:
            `(N, n_neighbors)` distances, if asked for, and places among the stored samples.

        Raises:
            ValueError: if there are not so many.
            TypeError: if that is no whole number.
        """
        check_is_fitted(self)
        if not is_whole(n_neighbors):
            raise TypeError(f"n_neighbors must be a whole number, got {quote(n_neighbors)}.")
        most = len(self.labels_) - (X is None)
        if not 1 <= n_neighbors <= most:
            raise ValueError(f"n_neighbors must be in 1 to {most}, got {n_neighbors}.")
        keys = self._keys if X is None else self._embed_all(self._check(X))
        cosines, places = [], []
        for first in range(0, len(keys), AT_ONCE):
            near = self._head.unscale(self._compare(keys[first : first + AT_ONCE]))  # (n, M)
            if X is None:
                near[:, first:].fill_diagonal_(-torch.inf)
            best = near.topk(n_neighbors, 1)
            cosines.append(best.values)
            places.append(best.indices)
        found = torch.cat(places).numpy()
        return (1 - torch.cat(cosines).numpy(), found) if return_distance else found

    def _check(self, X: ArrayLike) -> NDArray[np.float64]:
        """Check samples `(N, D)` that are asked about."""
        check_is_fitted(self)
        samples = validate_data(
            self, self._read(X), dtype=np.float64, accept_sparse="csr", reset=False
        )
        return to_dense(samples, self._reduced)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _read(self, X: ArrayLike) -> ArrayLike:
        """Encode samples that are images; vectors stay as they are."""
        if not holds_images(X):
            return X
        if self._reader is None:
            raise ValueError("X holds images, but the classifier was fitted to feature vectors.")
        return encode_pictures(self._reader, X)

    def _read_at(self, layers: Sequence[str]) -> None:
        """Let images be read by some layers of the encoder."""
        self._reader = build_reader(
            self.encoder, self.weights, self.image_size, layers, seed=self._seed
        )
        self.layers_ = self._reader.kind.layers or (OUTPUT,)

    def _choose_layers(
        self, reader: Classifier, samples: NDArray[np.float64], labels: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Let images be read by the layers that they choose; returns their features `(N, d)`.

        Args:
            reader: that gives the features of all depths.
            samples: `(N, D)` of them.
            labels: `(N,)`.
        """
        columns, (_, places) = place_columns(reader), np.unique(labels, return_inverse=True)
        known = torch.from_numpy(samples)
        depths = {name: known[:, one] for name, one in columns.items()}
        chosen = choose_layers(depths, torch.from_numpy(places), self._seed).layers
        self._read_at(chosen)
        kept: NDArray[np.float64] = samples[:, gather_columns(columns, chosen).numpy()]
        self.n_features_in_ = kept.shape[1]
        return kept

    def _embed(self, values: NDArray[np.float64]) -> list[Tensor]:
        """Make keys `(n, E)` of samples `(N, D)`, part by part."""
        with torch.no_grad():
            return [self._head.embed(some) for some in self._learned.lift(values).split(AT_ONCE)]

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
        return weigh(cosines * self._head.unit + self._leads)
