"""Keys of votes: what makes of features the numbers that images are compared by."""

import torch
from torch import Tensor, nn

from whence.messages import quote

KEY, HIDDEN, DROPOUT = 128, 512, 0.2
"""Numbers of a key, width of the hidden layer before it, and what is dropped there in training."""

EVEN_DIRECTIONS = 512
"""At most so many directions of whitened features are compared."""

ALIKE = 1e-9
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


def find_even_directions(features: Tensor) -> Tensor | None:
    """Find what features `(N, D)` are multiplied by so that their directions count alike.

    Whitening by their covariance, shrunk by the mean variance m towards all directions alike: of
    the principal directions v with variance s, v / sqrt(s + m), the most varied first. Directions
    that the N features do not have add nothing to a product with one of them.

    Returns:
        `(R, D)`, at most 512 directions; None if the features do not vary.
    """
    exact = features.double()
    centred = exact - exact.mean(0)
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(exact))  # rising
    mean = variances.clamp_min(0).mean()
    if not mean > 0:
        return None
    kept = (variances > ALIKE * variances[-1]).nonzero().squeeze(1)[-EVEN_DIRECTIONS:]
    even = vectors[:, kept] / (variances[kept] + mean).sqrt()  # (D, R)
    directions: Tensor = even.T.flip(0).contiguous().to(features.dtype)
    return directions


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
