"""Images as people hold them, as the one tensor that a model takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from whence.data.augment import to_float
from whence.data.image_file import FileImages
from whence.data.layout import lay_out, to_tensor
from whence.data.read_images import Pictures, Shaped, describe_other, read_images
from whence.records.images import ImageSet

Images: TypeAlias = Pictures | FileImages | ImageSet | Sequence[Pictures]
"""What people hold: one image or many."""


def as_images(
    images: Images,
    like: Shaped,
    *,
    name: str = "images",
) -> Tensor:
    """Return images as one tensor; one that has the right shape already is returned itself.

    Files and PIL images are resized and cropped as :func:`read_images` does; tensors and arrays
    must have the size that the model was made for.

    Args:
        images: a tensor `(B, C, H, W)`, or an array or tensor of one image or many with the
            channels first or last, PIL images, files, folders of files, or a list of these.
        like: what was made for images of one shape.
        name: of the argument, for messages.

    Returns:
        `(B, C, H, W)` uint8 or float.

    Raises:
        TypeError: if something is of another kind.
        ValueError: if a tensor or an array has another shape, or a file is no image.
        FileNotFoundError: if a file does not exist.
    """
    if isinstance(images, Tensor) and images.shape[1:] == like.image_shape and images.ndim == 4:
        return images
    if isinstance(images, FileImages | ImageSet):
        return as_images(images.images, like, name=name)
    if isinstance(images, list | tuple):
        return join_images(images, like, name=name)
    if isinstance(images, str | Path | Image.Image):
        return read_images(images, like=like).images
    if isinstance(images, Tensor | np.ndarray):
        is_array = isinstance(images, np.ndarray)
        pixels = to_tensor(name, images) if isinstance(images, np.ndarray) else images
        found = lay_out(name, pixels, like.image_shape, channels_first=not is_array)
        if found is None:
            raise ValueError(describe_size(name, tuple(pixels.shape), like.image_shape))
        return found
    raise TypeError(describe_other(name, images))


def join_images(images: Sequence[Any], like: Shaped, *, name: str) -> Tensor:
    """Put single images of a list together; the files among them are read side by side.

    Raises:
        ValueError: if one of them is none, or a batch.
    """
    if not images:
        return torch.zeros(0, *like.image_shape, dtype=torch.uint8)
    pictures = [one for one in images if isinstance(one, str | Path | Image.Image)]
    if len(pictures) == len(images):
        return read_images(pictures, like=like).images
    parts = [as_images(one, like, name=f"{name}[{place}]") for place, one in enumerate(images)]
    for place, (one, part) in enumerate(zip(images, parts, strict=True)):
        if len(part) != 1 and not isinstance(one, str | Path):
            raise ValueError(
                f"{name} must be one batch or a list of single images, {name}[{place}] holds "
                f"{len(part)}."
            )
    if len({part.dtype for part in parts}) > 1:
        parts = [to_float(part) for part in parts]
    return torch.cat(parts)


def check_image_shape(name: str, images: Tensor, like: Shaped) -> None:
    """Refuse a tensor that is not `(B, C, H, W)` of the shape that ``like`` was made for.

    Raises:
        ValueError: with what came and the way out.
    """
    if images.ndim != 4 or images.shape[1:] != like.image_shape:
        raise ValueError(describe_size(name, tuple(images.shape), like.image_shape))


def describe_size(name: str, shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> str:
    """Say that images are of another size than a model was made for, and the way out."""
    wanted = ", ".join(map(str, image_shape))
    return (
        f"{name} must be (B, {wanted}), as the model was made for, got shape {shape}; "
        f"whence.read_images({name}, like=model) brings them to it as training did."
    )
