"""How long the codes of a class are: a proxy for what the autoencoder takes for real images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.records.show import show_record
from whence.shapes import check_shape

FARTHEST = 6.0
"""A code's norm may be so many deviations from the mean norm of the stored images."""


@dataclass(frozen=True, eq=False, repr=False)
class Norms:
    """Euclidean norms of codes, by class; on the CPU, float64.

    Attributes:
        means: `(K,)` the mean norm of a class; NaN for a class without images.
        deviations: `(K,)` the sample deviation; 0 for a class of one image, NaN without any.
        counts: `(K,)` int64 how many images a class has.
        norms: `(N,)` of every image.
        labels: `(N,)` their classes.
    """

    means: Tensor
    deviations: Tensor
    counts: Tensor
    norms: Tensor
    labels: Tensor

    __repr__ = show_record


def measure_norms(codes: Tensor, labels: Tensor, *, classes: int) -> Norms:
    """Measure the norms of codes by class (figures 4.2 and 4.3 of the thesis).

    Args:
        codes: `(N, Z)` mean codes of the training images.
        labels: `(N,)` their classes, in 0 .. classes - 1.
        classes: K.

    Raises:
        ValueError: if the shapes do not fit, or a label is out of range.

    >>> measure_norms(torch.tensor([[3.0, 4.0], [0.0, 3.0]]), torch.tensor([1, 1]), classes=2).means
    tensor([nan, 4.], dtype=torch.float64)
    """
    sizes = check_shape("codes", codes, "N Z")
    check_shape("labels", labels, "N", **sizes)
    labels = labels.cpu()
    if sizes["N"] > 0 and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(
            f"labels must be in 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}."
        )
    norms = codes.detach().double().norm(dim=1).cpu()
    counts = labels.bincount(minlength=classes)
    means = norms.new_zeros(classes).index_add(0, labels, norms) / counts
    squares = (norms - means[labels]).square()
    spread = norms.new_zeros(classes).index_add(0, labels, squares)
    deviations = torch.where(counts > 1, (spread / (counts - 1).clamp_min(1)).sqrt(), 0.0 * means)
    return Norms(means, deviations, counts, norms, labels)


def mean_norms(names: tuple[str, ...], others: Tensor, norms: Norms) -> Tensor:
    """Look up `(B,)` the mean norm of the class of other.

    Raises:
        ValueError: if a class has no stored image.
    """
    if len(norms.means) != len(names):
        raise ValueError(f"norms must be of {len(names)} classes, got {len(norms.means)}.")
    found = norms.means[others.cpu()]
    for label in others.cpu()[found.isnan()].tolist():
        raise ValueError(
            f"Class {names[label]} has no stored image to compare with; choose another class, or "
            "store images of it."
        )
    return found


def norm_range(norms: Norms) -> tuple[float, float]:
    """Return the norms that a code may have: 6 deviations to both sides of the stored images'.

    With a single stored image, which has no deviation, any norm will do.
    """
    if len(norms.norms) < 2:
        return 0.0, math.inf
    reach = FARTHEST * float(norms.norms.std())
    mean = float(norms.norms.mean())
    return max(0.0, mean - reach), mean + reach
