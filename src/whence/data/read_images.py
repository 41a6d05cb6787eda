"""Images as people hold them, read as a model needs them: what every command does with files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whence.data.augment import to_float
from whence.data.changes import Change
from whence.data.decode import Decoded
from whence.data.decode_image import decode_image
from whence.data.image_file import (
    FileImage,
    FileImages,
    assemble,
    count_sizes,
    decode_files,
    raise_unread,
)
from whence.data.layout import split_images, to_tensor
from whence.data.names import describe_no_image, list_images, note_left_out
from whence.kinds import check_arguments

Pictures: TypeAlias = Tensor | NDArray[np.generic] | Image.Image | str | Path
"""An image, or a batch of them."""


class Shaped(Protocol):
    """What is made for images of one shape: a classifier or an autoencoder."""

    image_shape: tuple[int, int, int]
    """(C, H, W)."""


@check_arguments
def read_images(images: Pictures | Sequence[Pictures], *, like: Shaped) -> FileImages:
    """Bring images of any size and kind to the size and channels that a model was made for.

    Files are read, resized and cropped as the files of a training folder are: EXIF rotation
    applied, transparent parts on white, the first frame, 8 bits, resized to cover (H, W) and
    cropped to its middle.

    Args:
        images: files, folders of files, PIL images, arrays `(H, W)`, `(H, W, C)`, `(B, H, W, C)`
            or tensors `(C, H, W)`, `(B, C, H, W)` of uint8 or floats in [0, 1], or a list of these.
        like: a classifier, or an autoencoder.

    Returns:
        Its ``images`` are `(B, C, H, W)` uint8, ``files`` says where each came from, and ``notes``
        what was changed on the way.

    Raises:
        FileNotFoundError: if a file does not exist, or a folder holds no image.
        ValueError: if a file cannot be read as an image, there is none, or shapes do not fit.
        TypeError: if something is of another kind.
    """
    if not hasattr(like, "image_shape"):
        kind = type(like).__name__
        raise TypeError(f"like must be a classifier or an autoencoder, got {kind}.")
    channels, height, width = like.image_shape
    items: list[Path | Decoded] = []
    left_out: list[str] = []
    for number, one in enumerate(images if isinstance(images, list | tuple) else [images]):
        name = f"image {number}"
        if isinstance(one, str | Path):
            path = Path(one).expanduser()
            items += list_paths(path)
            left_out += note_left_out(path) if path.is_dir() else []
        elif isinstance(one, Image.Image):
            items.append(decode_image(one, Path(name), size=(height, width)))
        else:
            parts = split_pixels(name, one, channels)
            items += [decode_array(part, Path(name), size=(height, width)) for part in parts]
    if not items:
        raise ValueError("images must hold at least one image, got none.")
    paths = [item for item in items if isinstance(item, Path)]
    decoded = iter(decode_files(paths, size=(height, width), default_large_size=1))
    read = [next(decoded) if isinstance(item, Path) else item for item in items]
    raise_unread([one for one in read if not isinstance(one, Decoded)], len(paths))
    whole = [one for one in read if isinstance(one, Decoded)]
    files = tuple(
        FileImage(item if isinstance(item, Path) else Path(f"image {place}"), *one[1:])
        for place, (item, one) in enumerate(zip(items, whole, strict=True))
    )
    pixels = [one.pixels for one in whole]
    found, notes = assemble(pixels, size=(height, width), channels=channels, default_large_size=1)
    return FileImages(found, files, (*left_out, *notes, *count_sizes(files, height, width)))


def list_paths(path: Path) -> list[Path]:
    """List the images of a folder, or the one file.

    Raises:
        FileNotFoundError: if a folder holds no image.
    """
    if not path.is_dir():
        return [path]
    found = list_images(path)
    if not found:
        raise FileNotFoundError(describe_no_image(path))
    return found


def split_pixels(name: str, pixels: object, channels: int) -> list[Tensor]:
    """Split a tensor or an array into single images `(H, W, C)` on the CPU.

    Args:
        name: for messages.
        pixels: one image or a batch.
        channels: that a model takes.

    Raises:
        TypeError: if it is neither.
        ValueError: if its shape is that of no image.
    """
    if isinstance(pixels, Tensor):
        return split_images(name, pixels.detach().cpu(), channels, channels_first=True)
    if isinstance(pixels, np.ndarray):
        return split_images(name, to_tensor(name, pixels), channels, channels_first=False)
    raise TypeError(describe_other(name, pixels))


def describe_other(name: str, images: object) -> str:
    """Say what images may be, and what came."""
    return (
        f"{name} must be a tensor, an array, a PIL image, a path, or a list of these, "
        f"got {type(images).__name__}."
    )


def decode_array(pixels: Tensor, name: Path, *, size: tuple[int, int]) -> Decoded:
    """Bring pixels `(H, W, C)` with C = 1, 3 or 4 to 8 bits and a size, as those of a file."""
    changes: tuple[Change, ...] = ()
    if pixels.dtype != torch.uint8:
        exact = to_float(pixels) * 255
        pixels = exact.round().to(torch.uint8)
        if not torch.allclose(exact, pixels.to(exact.dtype), rtol=0, atol=1e-3):
            changes = (Change("floats", "its floats were rounded to 8 bits"),)
    array = pixels.numpy()
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else np.ascontiguousarray(array))
    found = decode_image(image, name, size=size)
    return found._replace(changes=(*changes, *found.changes))
