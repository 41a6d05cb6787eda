"""Training in three stages: patches and prototypes, the push to real patches, the last layer."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.studies.prototypes.part_network import PartNetwork, liken

CLUSTER, SEPARATION, SPARSE = 0.8, 0.08, 1e-4
"""Weights of the losses, as published."""

PROTOTYPE_RATE = 3e-3
IMAGES_AT_ONCE = 256


class PatchOrigin(NamedTuple):
    """The patch that a prototype is: image, row, column in the grid, and how far it was moved."""

    image: int
    row: int
    column: int
    moved: float


def cluster_and_separate(nearest: Tensor, labels: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the two losses on distances, equation 1 of Chen et al. (2019).

    Args:
        nearest: `(B, P)` smallest squared distance of a patch of each image to each prototype.
        labels: `(B,)`.
        owners: `(P,)`.

    Returns:
        The mean distance to the nearest prototype of the own class, and minus that to the nearest
        one of another class.
    """
    own = labels[:, None] == owners  # (B, P)
    cluster = nearest.masked_fill(~own, torch.inf).amin(1).mean()
    separation = -nearest.masked_fill(own, torch.inf).amin(1).mean()
    return cluster, separation


def train_in_batches(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    generator: torch.Generator,
    batch: int = 32,
) -> None:
    """Train a network by Adam, its rate falling to 0; of one with prototypes not the last layer.

    Args:
        network: is changed.
        images: `(N, C, H, W)` in [0, 1].
        labels: `(N,)`.
        epochs: how often every image is seen.
        generator: orders the images.
        batch: images of a step.
    """
    learned = [one for name, one in network.named_parameters() if name != "weights"]
    optimizer = torch.optim.Adam(learned, lr=PROTOTYPE_RATE)
    steps = epochs * -(-len(labels) // batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(batch):
            if isinstance(network, PartNetwork):
                logits, nearest = network.compare(images[rows])
                cluster, separation = cluster_and_separate(nearest, labels[rows], network.owners)
                extra = CLUSTER * cluster + SEPARATION * separation
            else:
                logits, extra = network(images[rows]), torch.zeros(())
            loss = nn.functional.cross_entropy(logits, labels[rows]) + extra
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def push_prototypes(network: PartNetwork, images: Tensor, labels: Tensor) -> list[PatchOrigin]:
    """Move every prototype to the nearest patch of a training image of its class.

    Chen et al. (2019), equation 2. Of equally near patches the first.

    Returns:
        Where each of the P prototypes now is from.
    """
    best = torch.full((len(network.owners),), torch.inf)
    origins = [PatchOrigin(-1, -1, -1, 0.0)] * len(best)
    patches = torch.zeros_like(network.prototypes)
    for rows in torch.arange(len(labels)).split(IMAGES_AT_ONCE):
        found = network.encoder(images[rows])  # (n, D, h, w)
        distances = network.measure_patches(images[rows])  # (n, P, h, w)
        foreign = labels[rows][:, None] != network.owners
        distances = distances.masked_fill(foreign[..., None, None], torch.inf)
        flat = distances.transpose(0, 1).flatten(1)  # (P, n h w)
        values, places = flat.min(1)
        height, width = found.shape[2:]
        for one in (values < best).nonzero().squeeze(1).tolist():
            image, place = divmod(int(places[one]), height * width)
            row, column = divmod(place, width)
            best[one] = values[one]
            origins[one] = PatchOrigin(int(rows[image]), row, column, float(values[one].sqrt()))
            patches[one] = found[image, :, row, column]
    network.prototypes.copy_(patches)
    return origins


def fit_last_layer(
    network: PartNetwork, images: Tensor, labels: Tensor, *, steps: int, sparse: float = SPARSE
) -> list[float]:
    """Fit the last layer, all else as it is: convex, with a cost of weights for other classes.

    Chen et al. (2019), equation 3, by proximal gradient steps with momentum (Beck and Teboulle
    2009), so that weights that are not needed become exactly 0.

    Returns:
        The loss after every step.
    """
    with torch.no_grad():
        similar = torch.cat(
            [liken(network.compare(some)[1]) for some in images.split(IMAGES_AT_ONCE)]
        )
    own = network.owners == torch.arange(len(network.weights))[:, None]  # (K, P)
    rate = 1 / float(0.5 * torch.linalg.matrix_norm(similar, 2).square() / len(labels))
    weights = network.weights.detach().clone()
    ahead, speed, losses = weights.clone(), 1.0, []
    for _ in range(steps):
        ahead.requires_grad_()
        loss = nn.functional.cross_entropy(similar @ ahead.T, labels)
        (slope,) = torch.autograd.grad(loss, ahead)
        moved = (ahead - rate * slope).detach()
        shrunk = moved.sign() * (moved.abs() - rate * sparse).clamp_min(0)
        new = torch.where(own, moved, shrunk)
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        ahead = (new + (speed - 1) / faster * (new - weights)).detach()
        weights, speed = new, faster
        whole = nn.functional.cross_entropy(similar @ weights.T, labels)
        losses.append(float(whole + sparse * weights[~own].abs().sum()))
    with torch.no_grad():
        network.weights.copy_(weights)
    return losses


@torch.no_grad()
def share_right(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that a network answers right."""
    said = torch.cat([network(some).argmax(1) for some in images.split(IMAGES_AT_ONCE)])
    return float((said == labels).double().mean())
