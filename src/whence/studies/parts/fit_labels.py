"""Train a network until it answers every training image as its label says."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.data.augment import shift
from whence.studies.parts.randomise import RandomisedData

DECAY, DECAY_STEPS = 0.95, 390
"""The learning rate is multiplied by it once in so many steps: an epoch of the publication."""

ASKED_AT_ONCE = 64
"""Images whose activations fit into a processor's cache."""


class FittingRecipe(NamedTuple):
    """How a network is trained.

    Attributes:
        rate: of learning, at the start.
        epochs: at most.
        least: epochs that are done even if all labels were fitted before.
        batch: images of a step.
        weight_decay: of SGD.
        crop: images are shifted by up to an eighth of their side at random.
        noise: deviation of what is added to every pixel of a step.
    """

    rate: float
    epochs: int
    least: int
    batch: int = 128
    weight_decay: float = 0.0
    crop: bool = False
    noise: float = 0.0


class FittingCurve(NamedTuple):
    """What was measured after every epoch, and the step after which all labels were fitted."""

    losses: list[float]  # cross-entropy of its steps, in nats
    train_errors: list[float]  # shares in [0, 1]
    test_errors: list[float]
    fitted: int | None  # epochs, None if not all labels were fitted


def fit_labels(
    network: nn.Module,
    data: RandomisedData,
    recipe: FittingRecipe,
    generator: torch.Generator,
    *,
    on_epoch: Callable[[int], None] | None = None,
) -> FittingCurve:
    """Train by SGD with momentum 0.9, until all training labels are answered as given.

    Zhang et al. (2017), appendix A; the same settings whatever the labels are.

    Args:
        network: maps `(B, C, H, W)` to `(B, K)`; it is trained in place, on the device of the data.
        data: with the labels to be fitted.
        recipe: of the training.
        generator: on the CPU, of the order of the images, of shifts and noise.
        on_epoch: called after every epoch, counted from 1, with the network in eval mode.
    """
    optimizer = torch.optim.SGD(
        network.parameters(), lr=recipe.rate, momentum=0.9, weight_decay=recipe.weight_decay
    )
    curve = FittingCurve([], [], [], None)
    for epoch in range(1, recipe.epochs + 1):
        curve.losses.append(train_one_epoch(network, data, optimizer, recipe, epoch, generator))
        curve.train_errors.append(count_errors(network, data.images, data.labels))
        curve.test_errors.append(count_errors(network, data.test_images, data.test_labels))
        if on_epoch is not None:
            on_epoch(epoch)
        if curve.train_errors[-1] == 0 and curve.fitted is None:
            curve = curve._replace(fitted=epoch)
        if curve.fitted is not None and epoch >= recipe.least:
            break
    return curve


def train_one_epoch(
    network: nn.Module,
    data: RandomisedData,
    optimizer: torch.optim.Optimizer,
    recipe: FittingRecipe,
    epoch: int,
    generator: torch.Generator,
) -> float:
    """See every image once, in the ``epoch``-th turn; the mean loss of the steps, in nats."""
    network.train()
    batches = torch.randperm(len(data.images), generator=generator).split(recipe.batch)
    losses = []
    for step, places in enumerate(batches, (epoch - 1) * len(batches)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * DECAY ** (step // DECAY_STEPS)
        images = data.images[places]
        if recipe.crop:
            images = shift(images, generator=generator)
        if recipe.noise:
            drawn = torch.randn(images.shape, generator=generator).to(images)
            images = images + recipe.noise * drawn
        loss = F.cross_entropy(network(images), data.labels[places])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def count_errors(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images `(N, C, H, W)` that are not answered by their labels `(N,)`."""
    network.eval()
    with torch.no_grad():
        wrong = [
            (network(part).argmax(1) != own).sum()
            for part, own in zip(
                images.split(ASKED_AT_ONCE), labels.split(ASKED_AT_ONCE), strict=True
            )
        ]
    return int(torch.stack(wrong).sum()) / len(labels)
