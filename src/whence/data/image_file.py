"""Read image files into one tensor of pixels."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from whence.data.channels import check_channels, to_channels
from whence.data.decode import Pixels, UnreadableImageError, cover, decode
from whence.data.resize import check_size

CHUNK = 32
"""Files that a thread reads before it reports, so that threads cost little."""

NAMED = 3
"""Unreadable files that an error names; the rest are counted."""


class FileImages(NamedTuple):
    """Images read from files, and what a user should know about the conversion."""

    images: Tensor  # (B, C, H, W) uint8
    notes: tuple[str, ...]


def read_image(path: Path, *, size: int | tuple[int, int], channels: int) -> Tensor:
    """Read one file for a model of known size and channels.

    Args:
        path: an image file.
        size: pixels of a side, or (H, W): the image is resized to cover it, then cropped.
        channels: 1 converts colour to grey, 3 repeats grey.

    Returns:
        `(C, H, W)` uint8.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read as an image, or ``size`` or ``channels`` is not one.
    """
    return read_images([path], size=size, channels=channels).images[0]


def read_images(
    paths: Sequence[Path],
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
) -> FileImages:
    """Read files into one tensor, and say in ``notes`` when channels were converted.

    Args:
        paths: at least one image file.
        size: pixels of a side, or (H, W): images are resized to cover it, then cropped; None
            keeps the size if all images agree and are at most 96 pixels, else makes squares of
            ``default_large_size`` pixels.
        channels: 1 or 3; None is 1 if all images are grey, else 3.
        default_large_size: pixels of a side, see ``size``.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if files cannot be read as images (the first are named, all are counted).
    """
    if channels is not None:
        check_channels(channels)
    if not paths:
        raise ValueError("paths must name at least one image file, got none.")
    decoded = decode_files(paths, size=size, default_large_size=default_large_size)
    damaged = [item for item in decoded if isinstance(item, UnreadableImageError)]
    if len(damaged) == 1:
        raise damaged[0]
    if damaged:
        named = ", ".join(f"{error.path} ({error.reason})" for error in damaged[:NAMED])
        more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        raise ValueError(
            f"{len(damaged)} of {len(paths)} files cannot be read as images: {named}{more}; "
            "replace or remove them."
        )
    pixels = [item for item in decoded if not isinstance(item, UnreadableImageError)]
    del decoded
    return assemble(pixels, size=size, channels=channels, default_large_size=default_large_size)


def decode_files(
    paths: Sequence[Path], *, size: int | tuple[int, int] | None, default_large_size: int
) -> list[Pixels | UnreadableImageError]:
    """Decode files in threads; a file that is damaged gives its error in place of pixels.

    Args:
        paths: image files.
        size: as in ``read_images``.
        default_large_size: as in ``read_images``.

    Raises:
        FileNotFoundError: if a file does not exist.
    """
    wanted = _target(size)
    check_size(default_large_size)

    def decode_chunk(chunk: Sequence[Path]) -> list[Pixels | UnreadableImageError]:
        items: list[Pixels | UnreadableImageError] = []
        for path in chunk:
            try:
                items.append(decode(path, size=wanted, large_size=default_large_size))
            except UnreadableImageError as error:
                items.append(error)
        return items

    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    decoded: list[Pixels | UnreadableImageError] = []
    with _pillow_warnings(), _progress(len(paths)) as bar:
        pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1, len(chunks) or 1))
        try:
            for items in pool.map(decode_chunk, chunks):
                decoded += items
                bar.update(len(items))
        finally:
            pool.shutdown(cancel_futures=True)
    return decoded


def assemble(
    pixels: list[Pixels],
    *,
    size: int | tuple[int, int] | None,
    channels: int | None,
    default_large_size: int,
) -> FileImages:
    """Bring decoded images to one size and channel count; ``pixels`` is emptied on the way.

    Args:
        pixels: at least one image from ``decode_files``, which had the same options.
        size: as in ``read_images``.
        channels: as in ``read_images``.
        default_large_size: as in ``read_images``.
    """
    height, width = _target(size) or _common_size(pixels) or (default_large_size,) * 2
    coloured, total = sum(item.shape[2] == 3 for item in pixels), len(pixels)
    images = torch.empty(total, 3 if coloured else 1, height, width, dtype=torch.uint8)
    filled = images.numpy()
    while pixels:
        item = pixels.pop()
        if item.shape[:2] != (height, width):
            item = _cover_pixels(item, height, width)
        filled[len(pixels)] = item.transpose(2, 0, 1)  # a grey image fills all three channels
    notes = []
    if channels == 1 and coloured:
        notes.append(f"{coloured} of {total} images are in colour and were converted to grey.")
    if channels == 3 and not coloured:
        notes.append("The images are grey: their one channel was repeated to make three.")
    return FileImages(images if channels is None else to_channels(images, channels), tuple(notes))


def _cover_pixels(pixels: Pixels, height: int, width: int) -> Pixels:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(cover(image, height, width)).reshape(height, width, -1)


def _target(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    check_size(min(height, width))
    return height, width


def _common_size(pixels: list[Pixels]) -> tuple[int, int] | None:
    """Return the (H, W) that all images share, None if they differ."""
    sizes = {item.shape[:2] for item in pixels}
    return sizes.pop() if len(sizes) == 1 else None


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """In all threads, refuse what is suspiciously large and be silent on damaged metadata.

    Damaged pixels are errors anyway.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _progress(total: int) -> "tqdm[NoReturn]":
    """Count files on a terminal, from the second second on."""
    return tqdm(
        total=total, desc="reading images", unit="image", delay=1, leave=False, disable=None
    )
