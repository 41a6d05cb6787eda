"""How good features are: each image left out in turn, answered by a regression on the others."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from whence.data.stratify import stratified
from whence.seeds import make_generator
from whence.training.labelled import Labelled

LEFT_OUT = 2000
"""Images that are left out in turn, at most."""

SHARES = (0.01, 0.1, 1.0, 10.0)
"""Penalties of the ridge regression, in times the number of features."""


def list_combinations(names: Sequence[str]) -> list[tuple[str, ...]]:
    """List each layer alone, and the last one with 1, 2, ... of those before it.

    >>> list_combinations(["a", "b", "output"])
    [('a',), ('b',), ('output',), ('b', 'output'), ('a', 'b', 'output')]
    """
    together = [tuple(names[first:]) for first in range(len(names) - 2, -1, -1)]
    return [*((name,) for name in names), *together]


def leave_each_out(known: Labelled, seed: int, *, most: int = LEFT_OUT) -> float:
    """Answer every image by a ridge regression on all others; the share of right ones.

    Without fitting anew for each: what an image is answered without itself follows from the
    regression on all (Allen 1974), here in its dual form with an intercept. The penalty is the one
    of the smallest error. Of very many images so many are drawn, class by class.

    Args:
        known: N images and their labels.
        seed: of the images that are drawn.
        most: images that are left out in turn, at most.
    """
    if len(known.labels) > most:
        known = known.take(stratified(known.labels, most, generator=make_generator(seed)))
    features, labels = known.features.double(), known.labels
    deviation = features.std(0, correction=0)
    standard = (features - features.mean(0)) / torch.where(deviation > 0, deviation, 1)
    values, vectors = torch.linalg.eigh(standard @ standard.T)  # (N,), (N, N)
    wanted = F.one_hot(labels).double()  # (N, K)
    found = []
    for share in SHARES:
        penalty = share * standard.shape[1]
        inverse = (vectors / (values.clamp_min(0) + penalty)) @ vectors.T  # (N, N)
        sums = inverse.sum(1, keepdim=True)
        inverse -= sums @ sums.T / sums.sum()  # the intercept
        off = inverse @ wanted / inverse.diagonal()[:, None]  # (N, K) wanted less answered
        right = float(((wanted - off).argmax(1) == labels).double().mean())
        found.append((float(off.square().mean()), right))
    return min(found)[1]
