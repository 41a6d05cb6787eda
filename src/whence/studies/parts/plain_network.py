"""Plain networks without a memory: of plain layers, and with parameters drawn from a seed alone."""

from collections.abc import Callable

import torch
from torch import nn

from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.records.images import ImageSet
from whence.seeds import seed_global


def draw_network(encoder: str | Callable[[], nn.Module], train: ImageSet, seed: int) -> Classifier:
    """Build a network for images and classes like those of ``train``.

    Args:
        encoder: a name from ``ENCODERS``, or what builds a module.
        train: its images say the shape.
        seed: of the parameters.
    """
    channels, height, width = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)  # parameters are drawn from the global generator
        return wrap(
            encoder if isinstance(encoder, str) else encoder(),
            train.class_names,
            variant="standard",
            image_shape=(channels, height, width),
        )


def plain_layers(
    image_shape: tuple[int, ...],
    classes: int,
    depth: int,
    *,
    width: int = 512,
    dropped: float = 0.0,
) -> nn.Sequential:
    """Build an MLP of hidden layers with ReLU, as wide as each other.

    Args:
        image_shape: (C, H, W).
        classes: K.
        depth: hidden layers.
        width: units of each.
        dropped: share of them that dropout leaves out; 0 builds none.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    before = torch.Size(image_shape).numel()
    for _ in range(depth):
        layers += [nn.Linear(before, width), nn.ReLU(), *([nn.Dropout(dropped)] if dropped else [])]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, classes))
