"""A network without a memory whose parameters are drawn from a seed alone."""

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
