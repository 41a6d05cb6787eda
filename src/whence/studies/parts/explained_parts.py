"""The network that is explained: convolutions, one layer of features, one answer per class."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.data.augment import to_float
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.images import ImageSet
from whence.studies.parts.plain_network import draw_network
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

LAYER_WIDTH = 64
"""Features of the explained layer."""

PARTS_RECIPE = Recipe(
    optimizer="adam", learning_rate=2e-3, schedule="cosine", weight_decay=1e-4, batch_size=64
)


class LayerView(NamedTuple):
    """Images, float in [0, 1], and what the network makes of them.

    Attributes:
        images: `(N, C, H, W)`.
        features: `(N, Z)` of the layer that is explained, divided by ``scale``.
        logits: `(N, K)`.
        parts: `(N, H, W)` the part of each pixel; None where that is not known.
    """

    images: Tensor
    features: Tensor
    logits: Tensor
    parts: Tensor | None


def build_layered(image_shape: tuple[int, int, int]) -> nn.Module:
    """Build convolutions and a dense layer of 64 rectified features; none of its inputs below 0."""
    channels, height, width = image_shape
    across = (height // 4) * (width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * across, LAYER_WIDTH),
        nn.ReLU(),
    )


def train_layered(train: ImageSet, *, epochs: int, seed: int) -> Classifier:
    """Train the network on images that are not normalised, so that none is below 0."""
    channels, height, width = train.images.shape[1:]
    model = draw_network(lambda: build_layered((channels, height, width)), train, seed)
    fit(model, train, recipe=PARTS_RECIPE, plan=Plan(epochs, seed=seed))
    return model.requires_grad_(False)


def look_at_layer(
    model: Classifier, images: ImageSet, parts: Tensor | None, scale: float | None = None
) -> tuple[LayerView, float]:
    """Compute features and logits of images.

    Args:
        model: the network.
        images: uint8.
        parts: `(N, H, W)`, where they are known.
        scale: that features are divided by; None takes their root mean square.

    Returns:
        What was found, and the scale.
    """
    pixels = to_float(images.images)
    with evaluating(model):
        features = torch.cat([model.encode_features(part) for part in pixels.split(256)])
        logits: Tensor = model.head(features)
    scale = float(features.square().mean().sqrt()) if scale is None else scale
    return LayerView(pixels, features / scale, logits, parts), scale


def unit_of_layer(
    model: Classifier, read: Callable[[Tensor], Tensor], scale: float
) -> Callable[[Tensor], Tensor]:
    """Return what maps images `(B, C, H, W)` to a number of each that is read off its features."""

    def unit(images: Tensor) -> Tensor:
        return read(model.encoder(images) / scale)

    return unit
