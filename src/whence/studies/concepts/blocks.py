"""The study's network: four blocks of convolutions, kept at the end of every epoch."""

import copy
from typing import NamedTuple

from torch import nn

from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.studies.parts.plain_network import draw_network
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

BLOCK_CHANNELS = (16, 32, 48, 64)

BLOCK_NAMES = tuple(f"block{number}" for number in range(1, len(BLOCK_CHANNELS) + 1))

BLOCK_RECIPE = Recipe(
    optimizer="adam",
    learning_rate=3e-3,
    weight_decay=0.0,
    schedule="cosine",
    batch_size=64,
)


class TrainedBlocks(NamedTuple):
    """A network, and its encoder before training and after every epoch."""

    model: Classifier
    epochs: list[nn.Module]


def build_blocks() -> nn.Sequential:
    """Build blocks of a convolution, batch normalisation and a rectifier, and a mean over places.

    All but the last end in a maximum over 2 x 2 places; maps `(B, 1, H, W)` to `(B, 64)`.
    """
    network = nn.Sequential()
    channels = 1
    for name, width in zip(BLOCK_NAMES, BLOCK_CHANNELS, strict=True):
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        block = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
        if width < BLOCK_CHANNELS[-1]:
            block.append(nn.MaxPool2d(2))
        network.add_module(name, block)
        channels = width
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    return network


def train_blocks(train: ImageSet, epochs: int, seed: int) -> TrainedBlocks:
    """Train the network on images; in eval mode at the end."""
    model = draw_network(build_blocks, train, seed)
    kept = [copy.deepcopy(model.encoder).eval()]
    fit(
        model,
        train,
        recipe=BLOCK_RECIPE,
        plan=Plan(epochs, seed=seed),
        on_epoch=lambda _: kept.append(copy.deepcopy(model.encoder).eval()),
    )
    return TrainedBlocks(model, kept)
