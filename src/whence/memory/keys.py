"""Keys of votes: what makes of features the numbers that images are compared by."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from whence.messages import quote

KEY, HIDDEN, DROPOUT = 128, 512, 0.2
"""Numbers of a key, width of the hidden layer before it, and what is dropped there in training."""

EVEN_DIRECTIONS = 512
"""At most so many directions are evened out; those of less variance hardly need it."""

ROUNDING_SHARE = 1e-9
"""Directions with less than this share of the largest variance are rounding."""


def find_directions(features: Tensor) -> Tensor:
    """Find the orthonormal directions `(E, D)` in which features `(N, D)` vary most.

    Of E numbers or fewer all are kept as they are, and rows that are left over are 0.
    """
    width = features.shape[1]
    if width <= KEY:
        return torch.eye(KEY, width, dtype=features.dtype, device=features.device)
    exact = features.double()
    vectors: Tensor = torch.linalg.eigh(exact.T @ exact).eigenvectors  # (D, D), by rising variance
    return vectors[:, -KEY:].T.to(features.dtype)


def find_even_directions(features: Tensor, labels: Tensor) -> Tensor | None:
    """Find what whitens features `(N, D)` within classes: rows A, of which x becomes x - (x A^T) A.

    Whitening by the covariance within classes, shrunk by its mean variance m towards all directions
    alike: along a principal direction v of variance s, x becomes sqrt(m / (s + m)) of itself, so
    that a row of A is sqrt(1 - sqrt(m / (s + m))) v. What is across all of them stays.

    Args:
        features: that are known.
        labels: `(N,)` of them.

    Returns:
        `(R, D)`, the most varied first, at most 512; None if features do not vary within classes.
    """
    exact = features.double()
    classes, members = labels.unique(return_inverse=True)
    sums = exact.new_zeros(len(classes), exact.shape[1]).index_add_(0, members, exact)
    centred = exact - (sums / members.bincount()[:, None])[members]
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(exact))  # rising
    mean = variances.clamp_min(0).mean()
    if not mean > 0:
        return None
    kept = (variances > ROUNDING_SHARE * variances[-1]).nonzero().squeeze(1)[-EVEN_DIRECTIONS:]
    taken = 1 - (mean / (variances[kept] + mean)).sqrt()  # (R,)
    directions: Tensor = (vectors[:, kept] * taken.sqrt()).T.flip(0).contiguous()
    return directions.to(features.dtype)


def find_group_directions(features: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
    """Find the directions in which groups of images differ that have the same class.

    Additive effects of K classes and G groups are fitted to the features together, by least squares
    with a ridge of 1. What the effects of the groups span is what linear erasure takes out for a
    single attribute (Belrose et al. 2023, arXiv:2306.03819). Only groups that are linked are told
    apart, which share a class or are linked to the same third one: elsewhere nobody knows what is
    of the group and what of the class.

    Args:
        features: `(N, D)`.
        labels: `(N,)` in 0 .. K-1.
        groups: `(N,)` in 0 .. G-1.

    Returns:
        `(R, D)`, orthonormal: R is at most D, and G less the sets of groups that are linked.
    """
    exact = features.double()
    classes, count = int(labels.max()) + 1, int(groups.max()) + 1
    design = torch.cat([one_hot(labels, classes), one_hot(groups, count)], 1).to(exact)
    inner = design.T @ design + torch.eye(classes + count).to(exact)
    effects = torch.linalg.solve(inner, design.T @ (exact - exact.mean(0)))[classes:]  # (G, D)
    linked = link_groups(labels, groups).to(exact.device)  # (G,)
    sets = one_hot(linked).to(exact)  # (G, S)
    means = sets.T @ effects / sets.sum(0)[:, None]
    rank = count - sets.shape[1]
    directions: Tensor = torch.linalg.svd(effects - means[linked], full_matrices=False).Vh[:rank]
    return directions.to(features.dtype)


def link_groups(labels: Tensor, groups: Tensor) -> Tensor:
    """Number the sets `(G,)` of groups that are linked by classes which hold images of both."""
    from scipy.sparse.csgraph import connected_components  # late: few memories have groups

    classes, count = int(labels.max()) + 1, int(groups.max()) + 1
    met = torch.zeros(count, classes, dtype=torch.float64)
    met[groups.cpu(), labels.cpu()] = 1
    _, sets = connected_components((met @ met.T).numpy(), directed=False)
    return torch.from_numpy(sets).long()


class DeepKeys(nn.Module):
    """Make keys `(..., E)` of features `(..., D)`: a projection, plus a network of one layer.

    Args:
        features: D.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.plain = nn.Linear(features, KEY, bias=False)
        self.hidden = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT))
        self.last = nn.Linear(HIDDEN, KEY)

    def forward(self, features: Tensor) -> Tensor:
        """Make keys `(..., E)` of features `(..., D)`."""
        keys: Tensor = self.plain(features) + self.last(self.hidden(features))
        return keys


def build_keys(features: int, kind: str) -> nn.Module:
    """Build what makes keys of features: "linear", a projection, or "mlp", which adds a network."""
    if kind == "mlp":
        return DeepKeys(features)
    if kind == "linear":
        return nn.Linear(features, KEY, bias=False)
    raise ValueError(f"Unknown classifier {quote(kind)}. Choose from: mlp, linear.")
