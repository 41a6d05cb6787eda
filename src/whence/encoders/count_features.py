"""Find out how many features an encoder gives, by asking it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from whence.encoders.explained import explained


def count_features(encoder: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Find D by encoding two images, leaving no trace in the encoder.

    Args:
        encoder: maps `(B, C, H, W)` to `(B, D)`.
        image_shape: (C, H, W).

    Returns:
        D.

    Raises:
        ValueError: if the encoder fails on such images or returns anything but features.
    """
    with probing(encoder, image_shape) as images, explained("encoder", image_shape):
        features: object = encoder(images)
    return check_known_features(features, image_shape)


@contextmanager
def probing(encoder: nn.Module, image_shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """Put an encoder in eval mode and restore the mode of every part and the random states.

    So no BatchNorm statistic changes.

    Yields:
        `(2, C, H, W)` black images, of its precision and on its device.
    """
    like = find_floats(encoder)
    modes = [(module, module.training) for module in encoder.modules()]
    devices = [like.device] if like.is_cuda else []
    encoder.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield torch.zeros(2, *image_shape, dtype=like.dtype, device=like.device)
    finally:
        for module, mode in modes:
            module.training = mode


def find_floats(encoder: nn.Module) -> Tensor:
    """Find the first parameter or buffer of floats, whose precision the encoder has."""
    tensors = chain(encoder.parameters(), encoder.buffers())
    return next((t for t in tensors if t.is_floating_point()), torch.zeros(()))


def check_precision(encoder: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Refuse an encoder of another precision than float32 that does not take float32 images.

    Args:
        encoder: takes `(2, C, H, W)` images of its own precision.
        image_shape: (C, H, W).

    Raises:
        ValueError: naming its precision.
    """
    found = find_floats(encoder).dtype
    if found == torch.float32:
        return
    with probing(encoder, image_shape) as images:
        try:
            encoder(images.float())
        except RuntimeError as error:
            raise ValueError(
                f"encoder must take float32 images, as the model gives them, its parameters are "
                f"{found}; call encoder.float(), or cast in its forward: images.to({found})."
            ) from error


def check_known_features(features: object, image_shape: tuple[int, int, int]) -> int:
    """Check that an encoder's output for two images is `(2, D)` float, and return D.

    Raises:
        ValueError: with what came.
    """
    wanted = f"encoder must return features (B, D) for images of image_shape {tuple(image_shape)}"
    if not isinstance(features, Tensor):
        raise ValueError(
            f"{wanted}, got a {type(features).__name__}; wrap it in a module that returns one "
            "tensor."
        )
    if features.ndim != 2 or features.shape[0] != 2 or features.shape[1] == 0:
        raise ValueError(
            f"{wanted}, got shape {tuple(features.shape)} for 2 images; add a pooling layer and "
            "nn.Flatten, for example nn.Sequential(encoder, nn.AdaptiveAvgPool2d(1), nn.Flatten())."
        )
    if not features.is_floating_point():
        raise ValueError(f"{wanted} as floating point numbers, got {features.dtype}.")
    return features.shape[1]
