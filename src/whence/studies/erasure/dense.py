"""A network of four layers on feature vectors, and the importance of all its units."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.studies.parts.sentences.erase import grow_losses, losses_of

DENSE_UNITS = 50


class DenseNetwork(nn.Module):
    """Features, two layers of tanh units, and the classes.

    As that of Li et al. (2017), section 3.1. Dropout, where there is some, is before every layer.

    Args:
        features: D.
        classes: K.
        hidden: units of the layers between.
        dropout: share of units that are left out in training.
    """

    def __init__(
        self, features: int, classes: int, *, hidden: int = DENSE_UNITS, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = (features, hidden, hidden, classes)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits `(B, K)`."""
        return self.go_on(features, 0)

    def go_on(self, units: Tensor, place: int) -> Tensor:
        """Compute logits `(..., K)` from the units `(..., D)` before the layer at ``place``."""
        for number, layer in enumerate(self.layers[place:]):
            units = layer(self.dropout(units if number == 0 else units.tanh()))
        return units

    def find_units(self, features: Tensor) -> list[Tensor]:
        """Compute the units before each layer, the features first, each `(B, D)`."""
        found = [features]
        for layer in list(self.layers)[:-1]:
            found.append(layer(self.dropout(found[-1])).tanh())
        return found


def train_dense(
    network: DenseNetwork, features: Tensor, labels: Tensor, *, steps: int, rate: float = 0.01
) -> None:
    """Train on all of `(N, D)` features at once, where the network is; in eval mode afterwards.

    Dropout draws from torch's global generator, which the caller seeds.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    network.train()
    for _ in range(steps):
        loss = nn.functional.cross_entropy(network(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


class UnitImportance(NamedTuple):
    """By what share losses grow without each unit, and by how many nats; on the CPU."""

    relative: Tensor  # (D,)
    nats: Tensor  # (D,)


@torch.no_grad()
def erase_units(
    network: DenseNetwork, features: Tensor, labels: Tensor, *, rows: int = 64
) -> list[UnitImportance]:
    """Find the importance of every unit of every layer, the features first.

    Li et al. (2017), equation 1: a unit is set to 0, and the mean is over all examples.

    Args:
        network: trained.
        features: `(N, D)`, where the network is.
        labels: `(N,)`, there as well.
        rows: examples at once.
    """
    layers = network.find_units(features)
    losses = losses_of(network(features).double().log_softmax(1), labels)  # (N,)
    found = []
    for place, units in enumerate(layers):
        gone = ~torch.eye(units.shape[1], dtype=torch.bool, device=units.device)
        grown = []
        for some, own, truth in zip(
            units.split(rows), losses.split(rows), labels.split(rows), strict=True
        ):
            left = network.go_on(some[:, None] * gone, place)  # (n, D, K)
            without = losses_of(left.double().log_softmax(2), truth)  # (n, D)
            shares = grow_losses(own[:, None], without)
            grown.append(torch.stack([shares, without - own[:, None]]))
        relative, nats = torch.cat(grown, 1).mean(1).cpu()
        found.append(UnitImportance(relative, nats))
    return found


def share_out(amounts: Sequence[Tensor]) -> Tensor:
    """Turn importances of several tasks, each `(D,)`, into shares of their sums, `(tasks, D)`."""
    rows = torch.stack([one.clamp_min(0) for one in amounts])
    return rows / rows.sum(1, keepdim=True).clamp_min(1e-300)
