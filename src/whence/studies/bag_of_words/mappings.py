"""From local features to visual words: a codebook, soft and rank mapping, and Fisher vectors."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from whence.seeds import make_numpy_generator
from whence.studies.bag_of_words.tiles import Floats

WORDS_IN_BOOK, RANKS, RANK_BASE, SOFTNESS = 128, 8, 2.0, 12.0
"""Words of a codebook; words that a feature counts for, and how much less each next one; and how
fast a soft assignment falls with the distance."""

GAUSSIANS, AXES, SEEN = 8, 12, 20_000
"""Of a mixture, the dimensions it is in, and the local features that books are learnt from."""


def sample_features(values: Floats, seed: int) -> Floats:
    """Draw up to ``SEEN`` of local features `(N, L, D)`; `(n, D)`."""
    flat = values.reshape(-1, values.shape[-1])
    places = make_numpy_generator(seed).permutation(len(flat))[:SEEN]
    drawn: Floats = flat[places]
    return drawn


class Codebook:
    """Visual words: the centres of clusters of local features.

    Attributes:
        words: `(V, D)`.
    """

    def __init__(self, values: Floats, seed: int, words: int = WORDS_IN_BOOK) -> None:
        clusters = MiniBatchKMeans(words, random_state=seed, n_init=1, batch_size=2048)
        self.words: Floats = clusters.fit(sample_features(values, seed)).cluster_centers_

    def distances(self, values: Floats) -> Floats:
        """Return Euclidean distances `(..., V)` of local features `(..., D)` to the words."""
        squares = (values**2).sum(-1)[..., None] + (self.words**2).sum(-1)
        found: Floats = np.sqrt(np.maximum(squares - 2 * values @ self.words.T, 0))
        return found

    def rank(self, values: Floats) -> Floats:
        """Let the nearest word count 1/p, the next one 1/p^2 and so on, as in the paper."""
        distances, ranks = self.distances(values), min(RANKS, len(self.words))
        near = distances.argpartition(ranks - 1, -1)[..., :ranks]
        order = np.take_along_axis(distances, near, -1).argsort(-1, kind="stable")
        found = np.zeros_like(distances)
        amounts = RANK_BASE ** -np.arange(1.0, ranks + 1)
        np.put_along_axis(found, np.take_along_axis(near, order, -1), amounts, -1)
        return found

    def soft(self, values: Floats) -> Floats:
        """Share each local feature among all words, less with the distance."""
        lengths = self.distances(values)
        nearer = np.exp(-SOFTNESS * (lengths - lengths.min(-1, keepdims=True)))
        found: Floats = nearer / nearer.sum(-1, keepdims=True)
        return found


class FisherMapping:
    """Derivatives of a mixture of Gaussians, by its weights, means and deviations.

    Perronnin, Sanchez and Mensink (2010); the form of Bach et al. (2015), equation 44.
    """

    def __init__(self, values: Floats, seed: int) -> None:
        drawn = sample_features(values, seed)
        self.axes = PCA(AXES, random_state=seed).fit(drawn)
        self.mixture = GaussianMixture(
            GAUSSIANS, covariance_type="diag", max_iter=500, random_state=seed
        )
        self.mixture.fit(self.axes.transform(drawn))

    def __call__(self, values: Floats) -> Floats:
        """Map local features `(..., D)` to `(..., K (2 A + 1))`."""
        flat = self.axes.transform(values.reshape(-1, values.shape[-1]))
        found = fisher_terms(
            flat,
            self.mixture.predict_proba(flat),
            self.mixture.weights_,
            self.mixture.means_,
            np.sqrt(self.mixture.covariances_),
        )
        return found.reshape(*values.shape[:-1], -1)


def fisher_terms(
    features: Floats, shares: Floats, weights: Floats, means: Floats, deviations: Floats
) -> Floats:
    """Compute the derivatives of every local feature.

    Args:
        features: `(n, A)`.
        shares: `(n, K)` of each Gaussian in them.
        weights: `(K,)`.
        means: `(K, A)`.
        deviations: `(K, A)`.

    Returns:
        `(n, K, 1 + 2 A)`.
    """
    away = (features[:, None] - means) / deviations  # (n, K, A)
    by_weight = (shares - weights)[..., None]
    by_mean = shares[..., None] * away
    by_deviation = shares[..., None] * (away**2 - 1) / np.sqrt(2)
    terms = np.concatenate([by_weight, by_mean, by_deviation], axis=-1)
    found: Floats = terms / np.sqrt(weights)[:, None]
    return found
