"""Neural stethoscopes: a branch that listens for a factor, and promotes or suppresses it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.data.augment import to_float
from whence.records.images import ImageSet
from whence.seeds import seed_global
from whence.studies.concepts.blocks import BLOCK_CHANNELS, build_blocks

BRANCH_UNITS = 64
"""Of the branch, a perceptron of two layers."""

BRANCH_BATCH, BRANCH_STEPS = 128, 5
"""Images of a step, and steps of the branch for each step of the encoder."""

ENCODER_RATE, BRANCH_RATE = 3e-3, 5e-3

LISTENED_EPOCHS = 20
"""At least; the branch needs time."""

LISTENING = {"suppressed": -1.0, "only listened to": 0.0, "promoted": 1.0}
"""What the branch does to the features, and the weight of its loss that does it."""


class ListenedNetwork(NamedTuple):
    """An encoder to `(B, D)`, its linear layer, and the branch."""

    encoder: nn.Module
    head: nn.Module
    branch: nn.Module


def train_listened(
    train: ImageSet, factor: Tensor, weight: float, epochs: int, seed: int
) -> ListenedNetwork:
    """Train a network on its labels, with a branch that is trained to tell a factor.

    Fuchs et al. (2018), arXiv:1806.05502: the branch always learns to tell the factor; its loss,
    times a weight, is added to that of the encoder: above 0 the factor is promoted in the features,
    at 0 it is only listened to, below 0 suppressed. Here the branch takes several steps for each of
    the encoder, whose rate falls along half a cosine while the weight rises, so that an encoder
    cannot run away from a branch that is behind.

    Args:
        train: N images with their labels.
        factor: `(N,)` bool, which images have it.
        weight: of the branch's loss for the encoder, at the end.
        epochs: how often every image is seen.
        seed: of parameters and batches.
    """
    images, wanted = to_float(train.images), factor.long()
    steps = epochs * -(-len(images) // BRANCH_BATCH)
    with torch.random.fork_rng([]):
        seed_global(seed)
        network = build_listened(len(train.class_names))
        encoder, head, branch = network
        learned = [*encoder.parameters(), *head.parameters()]
        optimizer = torch.optim.Adam(learned, lr=ENCODER_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        listener = torch.optim.Adam(branch.parameters(), lr=BRANCH_RATE)
        encoder.train()
        batches = (some for _ in range(epochs) for some in shuffle_in_batches(len(images)))
        for step, batch in enumerate(batches):
            features = encoder(images[batch])
            teach_branch(branch, listener, features.detach(), wanted[batch])
            heard = F.cross_entropy(branch(features), wanted[batch])
            loss = F.cross_entropy(head(features), train.labels[batch])
            optimizer.zero_grad()
            (loss + weight * min(1.0, 2 * step / steps) * heard).backward()
            optimizer.step()
            schedule.step()
        encoder.eval()
    return network


def build_listened(classes: int) -> ListenedNetwork:
    """Build an encoder, a linear layer and a branch, with random parameters."""
    width = BLOCK_CHANNELS[-1]
    branch = nn.Sequential(nn.Linear(width, BRANCH_UNITS), nn.ReLU(), nn.Linear(BRANCH_UNITS, 2))
    return ListenedNetwork(build_blocks(), nn.Linear(width, classes), branch)


def shuffle_in_batches(total: int) -> Sequence[Tensor]:
    """Divide so many places by chance."""
    found: Sequence[Tensor] = torch.randperm(total).split(BRANCH_BATCH)
    return found


def teach_branch(
    branch: nn.Module, listener: torch.optim.Optimizer, features: Tensor, wanted: Tensor
) -> None:
    """Let a branch learn from features `(B, D)` that stay as they are."""
    for _ in range(BRANCH_STEPS):
        listener.zero_grad()
        F.cross_entropy(branch(features), wanted).backward()
        listener.step()


def encode_listened(network: ListenedNetwork, images: Tensor) -> Tensor:
    """Encode images `(N, C, H, W)` uint8 to `(N, D)`."""
    with torch.no_grad():
        return torch.cat([network.encoder(some) for some in to_float(images).split(256)])


def probe_again(
    features: Tensor, factor: Tensor, asked: Tensor, asked_factor: Tensor, seed: int
) -> float:
    """Train a perceptron like the branch anew, and measure how often it tells the factor.

    A branch that was fooled does not show that the features have lost what it listened for.

    Args:
        features: `(N, D)` to learn from.
        factor: `(N,)` bool.
        asked: `(V, D)` of other images.
        asked_factor: `(V,)` bool.
        seed: of its parameters.
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    perceptron = MLPClassifier((BRANCH_UNITS,), random_state=seed, alpha=1e-2, early_stopping=True)
    machine = make_pipeline(StandardScaler(), perceptron)
    machine.fit(features.numpy(), factor.numpy())
    return float(machine.score(asked.numpy(), asked_factor.numpy()))
