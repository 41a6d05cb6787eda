"""Pixels as people hold them, laid out as `(B, C, H, W)`; nothing is copied."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KINDS = "buif"
"""The kinds of array that tensors have: truth values, whole numbers, floats."""


def to_tensor(name: str, array: "NDArray[np.generic]") -> Tensor:
    """Wrap an array in a tensor, sharing its memory where torch can read it.

    Raises:
        TypeError: if it does not hold numbers.
    """
    if array.dtype.kind not in KINDS:
        raise TypeError(f"{name} must hold numbers, got an array of {array.dtype}.")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not native.flags.writeable or any(stride < 0 for stride in native.strides):
        native = native.copy()
    return torch.from_numpy(native)


def lay_out(
    name: str, pixels: Tensor, image_shape: tuple[int, int, int], *, channels_first: bool
) -> Tensor | None:
    """Lay out images of a known shape, one or many, with the channels first or last.

    Args:
        name: of the argument, for messages.
        pixels: `(B, C, H, W)`, `(B, H, W, C)`, `(C, H, W)`, `(H, W, C)`, and where C is 1 also
            `(B, H, W)` and `(H, W)`.
        image_shape: (C, H, W).
        channels_first: the channels come first where both could be.

    Returns:
        `(B, C, H, W)`; None if the shape is none of these.

    Raises:
        ValueError: if both could be, and it is not said which.
    """
    channels, height, width = image_shape
    shape, last = tuple(pixels.shape), (height, width, channels)
    if pixels.ndim in (3, 4) and shape[-3:] == image_shape:
        if image_shape == last and channels > 1 and not channels_first:
            raise ValueError(describe_ambiguous(name, shape))
        found = pixels
    elif pixels.ndim in (3, 4) and shape[-3:] == last:
        found = pixels.movedim(-1, -3)
    elif pixels.ndim in (2, 3) and (channels, *shape[-2:]) == (1, height, width):
        found = pixels.unsqueeze(-3)
    else:
        return None
    return found if found.ndim == 4 else found[None]


def split_images(name: str, pixels: Tensor, channels: int, *, channels_first: bool) -> list[Tensor]:
    """Split pixels of unknown size into single images with the channels last.

    Args:
        name: of the argument, for messages.
        pixels: `(B, C, H, W)`, `(B, H, W, C)`, `(C, H, W)`, `(H, W, C)`, or, grey, `(B, H, W)` and
            `(H, W)`, with C = 1, 3 or 4.
        channels: that a model takes; if 1, `(3, H, W)` could be three grey images.
        channels_first: the channels come first where they could be elsewhere.

    Returns:
        B times `(H, W, C)`, views of ``pixels``.

    Raises:
        ValueError: if no axis can be that of the channels, or both could.
    """
    shape = tuple(pixels.shape)
    if pixels.ndim == 2:
        return [pixels[..., None]]
    if pixels.ndim not in (3, 4):
        raise ValueError(f"{name} must be one image or a batch of them, got shape {shape}.")
    first, last = shape[-3] in (1, 3, 4), shape[-1] in (1, 3, 4)
    grey = first and shape[-3] != 1 == channels and pixels.ndim == 3
    if first and (last or grey) and not channels_first:
        raise ValueError(describe_ambiguous(name, shape))
    if first:
        pixels = pixels.movedim(-3, -1)
    elif not last and pixels.ndim == 3:  # (B, H, W)
        return list(pixels[..., None])
    elif not last:
        raise ValueError(
            f"{name} must have an axis of 1, 3 or 4 channels, first or last, got shape {shape}."
        )
    return [pixels] if pixels.ndim == 3 else list(pixels)


def describe_ambiguous(name: str, shape: Sequence[int]) -> str:
    """Say that the channels could be the first or the last axis of an image."""
    return (
        f"{name} must show which axis the channels are, which an array of shape {tuple(shape)} "
        "does not; pass torch.from_numpy(array), in which they come first."
    )
