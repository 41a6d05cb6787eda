"""Spatial pyramid matching on maps: visual words, histograms of parts of the image, a machine."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.studies.parts.intersect import Histograms, intersect

CELL_SIDE = 4
"""Places of a side that a cell of a descriptor averages."""

PYRAMID_LEVELS = ((1, 0.25), (2, 0.25), (4, 0.5))
"""Parts of a side of each level, and what the level counts (Lazebnik et al. 2006)."""

MACHINE_COST = 1.0


def describe_places(maps: Tensor) -> Tensor:
    """Describe places by the strength of all maps in 2 x 2 cells around; `(N, p, p, 4 K)`.

    As SIFT has it, which spatial pyramids are built on: strengths are averaged in cells, and a
    descriptor has length 1 unless there is nothing.
    """
    cells = F.avg_pool2d(maps.abs(), CELL_SIDE)  # (N, K, c, c)
    parts = cells.unfold(2, 2, 1).unfold(3, 2, 1)  # (N, K, p, p, 2, 2)
    rows = parts.permute(0, 2, 3, 1, 4, 5).flatten(3)
    lengths: Tensor = rows.norm(dim=3, keepdim=True)
    return rows / lengths.clamp_min(1e-6)


def learn_places(descriptors: Tensor, words: int, seed: int) -> Tensor:
    """Learn visual words `(V, D)` by k-means."""
    from sklearn.cluster import MiniBatchKMeans

    rows = descriptors.flatten(0, 2).numpy()
    fitted = MiniBatchKMeans(words, random_state=seed, n_init=1, batch_size=2048).fit(rows)
    return torch.from_numpy(fitted.cluster_centers_).float()


def build_pyramids(descriptors: Tensor, words: Tensor) -> Histograms:
    """Count the nearest words of places in every part of every level; `(N, V * 21)`.

    Lazebnik et al. (2006): counts are shares of all places, times what the level counts.
    """
    nearest = torch.cdist(descriptors.flatten(1, 2), words).argmin(2)
    count, side = len(descriptors), descriptors.shape[1]
    marks = F.one_hot(nearest, len(words)).float().reshape(count, side, side, -1)
    levels = []
    for parts, weight in PYRAMID_LEVELS:
        edges = [round(side * part / parts) for part in range(parts + 1)]
        levels += [
            weight * marks[:, edges[i] : edges[i + 1], edges[j] : edges[j + 1]].sum((1, 2))
            for i in range(parts)
            for j in range(parts)
        ]
    found: Histograms = (torch.cat(levels, 1) / side**2).double().numpy()
    return found


def classify_pyramids(
    known: Sequence[Histograms], labels: Tensor, asked: Sequence[Histograms], asked_labels: Tensor
) -> float:
    """Learn from pyramids, and measure the accuracy on others; several kinds add their kernels."""
    from sklearn.svm import SVC

    inner, outer = (
        sum(intersect(some, one, 1.0) for some, one in zip(rows, known, strict=True))
        for rows in (known, asked)
    )
    machine = SVC(C=MACHINE_COST * 10, kernel="precomputed").fit(inner, labels.numpy())
    return float(machine.score(outer, asked_labels.numpy()))
