"""Prediction difference analysis: how a probability changes when a patch is not known."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

INNER, OUTER = 4, 8
"""Pixels of a side of what is not known, and of what around it says how it may be."""

STRIDE = 2
"""Pixels from one patch to the next."""

SAMPLES_OF_PATCH = 10
"""Fillings of every patch."""

RIDGE = 1e-2
"""Added to the variance of every pixel of a patch, of pixels from 0 to 1."""

Probabilities = Callable[[Tensor], Tensor]
"""Maps images `(B, 1, H, W)` in [0, 1] to the probability of the class, `(B,)`."""


class PatchNormal(NamedTuple):
    """A normal distribution of the pixels of patches, mean `(P,)` and covariance `(P, P)`."""

    mean: Tensor
    covariance: Tensor


def learn_patches(images: Tensor, side: int) -> PatchNormal:
    """Fit a normal distribution to all patches of images `(N, 1, H, W)` in [0, 1]."""
    patches = images.unfold(2, side, 2).unfold(3, side, 2).reshape(-1, side * side).double()
    identity = torch.eye(side * side, dtype=torch.float64)
    return PatchNormal(patches.mean(0), patches.T.cov() + RIDGE * identity)


def condition_normal(
    normal: PatchNormal, unknown: Tensor, known_values: Tensor
) -> tuple[Tensor, Tensor]:
    """Condition a normal distribution on some of its values.

    Args:
        normal: of P values.
        unknown: `(P,)` bool.
        known_values: the others, in order.

    Returns:
        Mean `(u,)` and covariance `(u, u)` of the unknown ones.
    """
    inner, cross = normal.covariance[unknown], normal.covariance[~unknown]
    gain = torch.linalg.solve(cross[:, ~unknown], cross[:, unknown]).T  # (u, k)
    mean = normal.mean[unknown] + gain @ (known_values - normal.mean[~unknown])
    return mean, inner[:, unknown] - gain @ inner[:, ~unknown].T


def weigh_evidence(before: Tensor, after: Tensor, total: int, classes: int) -> Tensor:
    """Compute the weight of evidence: the fall of the log2-odds when something is not known.

    Robnik-Sikonja and Kononenko (2008); Zintgraf et al. (2017), arXiv:1702.04595, section 3, with
    the Laplace correction (p N + 1) / (N + K).

    Args:
        before: probabilities where all is known.
        after: where something is not.
        total: N, training images.
        classes: K.
    """
    first, second = ((some * total + 1) / (total + classes) for some in (before, after))
    return torch.log2(first / (1 - first)) - torch.log2(second / (1 - second))


def find_differences(
    probabilities: Probabilities,
    image: Tensor,
    fill: Callable[[int, int, int], Tensor],
    *,
    total: int,
    classes: int,
    stride: int = STRIDE,
) -> Tensor:
    """Average, for each pixel, the weight of evidence of the patches that it is in.

    Zintgraf et al. (2017), algorithm 1.

    Args:
        probabilities: of the class.
        image: `(1, H, W)` in [0, 1].
        fill: takes row, column and number of samples; gives `(S, inner, inner)` for a patch.
        total: training images.
        classes: K.
        stride: pixels from one patch to the next.

    Returns:
        `(H, W)` in bits, above 0 for what speaks for the class.
    """
    height, width = image.shape[1:]
    before = probabilities(image[None])[0]
    added, counted = torch.zeros(height, width), torch.zeros(height, width)
    places = [
        (row, column)
        for row in spread_starts(height, INNER, stride)
        for column in spread_starts(width, INNER, stride)
    ]
    for row, column in places:
        samples = fill(row, column, SAMPLES_OF_PATCH)
        variants = image.repeat(len(samples), 1, 1, 1)
        variants[:, 0, row : row + INNER, column : column + INNER] = samples
        after = probabilities(variants).mean()
        box = (slice(row, row + INNER), slice(column, column + INNER))
        added[box] += weigh_evidence(before, after, total, classes)
        counted[box] += 1
    return added / counted.clamp_min(1)


def spread_starts(size: int, length: int, stride: int) -> list[int]:
    """List where patches begin, the last at the end of the side.

    >>> spread_starts(11, 4, 3)
    [0, 3, 6, 7]
    """
    return sorted({*range(0, size - length + 1, stride), size - length})


def fill_by_others(images: Tensor, generator: torch.Generator) -> Callable[[int, int, int], Tensor]:
    """Fill a patch with what other images `(N, 1, H, W)` have there: its marginal distribution."""

    def fill(row: int, column: int, samples: int) -> Tensor:
        drawn = torch.randint(len(images), (samples,), generator=generator)
        found: Tensor = images[drawn, 0, row : row + INNER, column : column + INNER]
        return found

    return fill


def fill_by_surroundings(
    normal: PatchNormal, image: Tensor, generator: torch.Generator
) -> Callable[[int, int, int], Tensor]:
    """Fill a patch with what is likely there, given the pixels around it.

    Args:
        normal: of patches of the outer size.
        image: `(1, H, W)` in [0, 1].
        generator: of the samples.
    """
    height, width = image.shape[1:]
    margin = (OUTER - INNER) // 2

    def fill(row: int, column: int, samples: int) -> Tensor:
        top = min(max(row - margin, 0), height - OUTER)
        left = min(max(column - margin, 0), width - OUTER)
        unknown = torch.zeros(OUTER, OUTER, dtype=torch.bool)
        unknown[row - top : row - top + INNER, column - left : column - left + INNER] = True
        patch = image[0, top : top + OUTER, left : left + OUTER].double()
        mean, covariance = condition_normal(normal, unknown.flatten(), patch[~unknown])
        noise = torch.randn(samples, INNER**2, generator=generator, dtype=torch.float64)
        drawn = mean + noise @ torch.linalg.cholesky(covariance).T
        found: Tensor = drawn.clamp(0, 1).reshape(samples, INNER, INNER).float()
        return found

    return fill
