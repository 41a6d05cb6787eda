"""Sparse samples, such as counts of words, brought to vectors of few numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.decomposition import TruncatedSVD

MOST_NUMBERS = 300
"""Numbers of a sample that keys are learned from, where samples are sparse and have more."""


def reduce_sparse(samples: Any, *, seed: int) -> TruncatedSVD | None:
    """Learn how sparse samples become dense: latent semantic analysis (Deerwester et al. 1990).

    Args:
        samples: `(N, D)`.
        seed: of the decomposition.

    Returns:
        What brings samples to at most ``MOST_NUMBERS`` numbers; None where they are dense, or have
        not so many.
    """
    most = min(MOST_NUMBERS, *samples.shape)
    if not issparse(samples) or most == samples.shape[1]:
        return None
    return TruncatedSVD(most, random_state=seed).fit(samples)


def to_dense(samples: Any, reduced: TruncatedSVD | None) -> NDArray[np.float64]:
    """Bring samples `(N, D)`, sparse or not, to the form that keys are learned from."""
    if reduced is not None:
        return np.asarray(reduced.transform(samples), dtype=np.float64)
    dense: NDArray[np.float64] = samples.toarray() if issparse(samples) else samples
    return dense
