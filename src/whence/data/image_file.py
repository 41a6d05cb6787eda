"""Read image files into one tensor of pixels."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from whence.data.changes import Change, count_changes
from whence.data.channels import check_channels, to_channels
from whence.data.decode import Decoded, Pixels, cover, decode
from whence.data.open_image import UnreadableImageError
from whence.data.reader_warnings import catch_warnings
from whence.data.resize import check_size
from whence.messages import count
from whence.progress_bar import make_bar

CHUNK = 32
"""Files that a thread reads before it reports, so that threads cost little."""

NAMED_FILES = 3
"""Unreadable files that an error names; the rest are counted."""

Unread: TypeAlias = UnreadableImageError | FileNotFoundError
"""Why a file gave no image."""


class FileImage(NamedTuple):
    """What a user should know of one image that was read from a file."""

    path: Path
    height: int
    """Rows of the image in the file, upright."""
    width: int
    """Columns of the image in the file, upright."""
    changes: tuple[Change, ...]


class FileImages(NamedTuple):
    """Images read from files, and what a user should know about the way here."""

    images: Tensor  # (B, C, H, W) uint8
    files: tuple[FileImage, ...]  # of each image
    shape_notes: tuple[str, ...]
    """Sentences on channels and sizes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Count what was changed: one sentence for each kind of change."""
        changes, paths = [file.changes for file in self.files], [file.path for file in self.files]
        return (*self.shape_notes, *count_changes(changes, paths))


def read_files(
    paths: Sequence[Path],
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
) -> FileImages:
    """Read files into one tensor, and say in ``notes`` what was changed on the way.

    Args:
        paths: at least one image file.
        size: pixels of a side, or (H, W): images are resized to cover it, then cropped; None
            keeps the size if all images agree and are at most 96 pixels, else makes squares of
            ``default_large_size`` pixels.
        channels: 1 or 3; None is 1 if all images are grey, else 3.
        default_large_size: pixels of a side of these squares.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if files cannot be read as images (the first are named, all are counted).
    """
    if not paths:
        raise ValueError("paths must name at least one image file, got none.")
    found, problems = read_readable(
        paths, size=size, channels=channels, default_large_size=default_large_size
    )
    raise_unread(list(problems.values()), len(paths))
    return found


def raise_unread(problems: Sequence[Unread], total: int) -> None:
    """Raise one error for all files that gave no image: the first are named, all are counted.

    Args:
        problems: of each of these files.
        total: files that were read.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if files cannot be read as images.
    """
    missing = [error for error in problems if isinstance(error, FileNotFoundError)]
    if missing:
        raise missing[0]
    damaged = [error for error in problems if isinstance(error, UnreadableImageError)]
    if len(damaged) == 1:
        raise damaged[0]
    if damaged:
        named = ", ".join(f"{error.path} ({error.reason})" for error in damaged[:NAMED_FILES])
        more = f" and {len(damaged) - NAMED_FILES} more" if len(damaged) > NAMED_FILES else ""
        raise ValueError(
            f"{len(damaged)} of {total} files cannot be read as images: {named}{more}; "
            "replace or remove them."
        )


def read_readable(
    paths: Sequence[Path],
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
) -> tuple[FileImages, dict[int, Unread]]:
    """Read the files that can be read, and say of each of the others why it cannot.

    Args:
        paths: image files.
        size: as in ``read_files``.
        channels: as in ``read_files``.
        default_large_size: as in ``read_files``.

    Returns:
        The images, in the order of their paths, and the problem of every other place in ``paths``.
    """
    if channels is not None:
        check_channels(channels)
    decoded = decode_files(paths, size=size, default_large_size=default_large_size)
    problems = {n: item for n, item in enumerate(decoded) if not isinstance(item, Decoded)}
    files = tuple(
        FileImage(path, item.height, item.width, item.changes)
        for path, item in zip(paths, decoded, strict=True)
        if isinstance(item, Decoded)
    )
    pixels = [item.pixels for item in decoded if isinstance(item, Decoded)]
    del decoded
    images, notes = assemble(
        pixels, size=size, channels=channels, default_large_size=default_large_size
    )
    return FileImages(images, files, notes), problems


def decode_files(
    paths: Sequence[Path], *, size: int | tuple[int, int] | None, default_large_size: int
) -> list[Decoded | Unread]:
    """Decode files in threads; a file that is damaged or missing gives its error in their place.

    Args:
        paths: image files.
        size: as in ``read_files``.
        default_large_size: as in ``read_files``.
    """
    wanted = _target(size)
    check_size(default_large_size)

    def decode_chunk(chunk: Sequence[Path]) -> list[Decoded | Unread]:
        items: list[Decoded | Unread] = []
        for path in chunk:
            try:
                items.append(decode(path, size=wanted, large_size=default_large_size))
            except (UnreadableImageError, FileNotFoundError) as error:
                items.append(error)
        return items

    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    decoded: list[Decoded | Unread] = []
    with catch_warnings(), _progress(len(paths)) as bar:
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
) -> tuple[Tensor, tuple[str, ...]]:
    """Bring decoded images to one size and channel count; ``pixels`` is emptied on the way.

    Args:
        pixels: of images from ``decode_files``, which had the same options.
        size: as in ``read_files``.
        channels: as in ``read_files``.
        default_large_size: as in ``read_files``.

    Returns:
        `(B, C, H, W)` uint8, and a sentence where channels were converted.
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
        verbs = "is in colour and was" if coloured == 1 else "are in colour and were"
        notes.append(f"{coloured} of {count(total, 'image')} {verbs} converted to grey.")
    if channels == 3 and total and not coloured:
        notes.append("The images are grey: their one channel was repeated to make three.")
    return images if channels is None else to_channels(images, channels), tuple(notes)


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


def count_sizes(files: Sequence[FileImage], height: int, width: int) -> tuple[str, ...]:
    """Say in one sentence how many images were resized, and to what; nothing if none was.

    Args:
        files: with the size that each image had.
        height: rows that it has now.
        width: columns that it has now.
    """
    others = [file for file in files if (file.height, file.width) != (height, width)]
    if not others:
        return ()
    first = others[0]
    cropped = sum(file.width * height != file.height * width for file in others)
    if len(files) == 1:
        middle = ", cropped to the middle" if cropped else ""
        before = f"from {first.width} x {first.height} to"
        return (f"The image was resized {before} {width} x {height} pixels{middle}.",)
    middle = f", {cropped} of them cropped to the middle" if cropped else ""
    were = "was" if len(others) == 1 else "were"
    return (
        f"{len(others)} of {count(len(files), 'image')} {were} resized to {width} x {height} "
        f"pixels{middle} (first: {first.path}, {first.width} x {first.height}).",
    )


@contextmanager
def _progress(total: int) -> "Iterator[tqdm[NoReturn]]":
    """Count files on a terminal, from the second second on.

    The bar has a handle of its own on it, because what C libraries write there is turned aside.
    """
    stderr = sys.stderr
    if stderr.isatty():
        handle: AbstractContextManager[TextIO] = os.fdopen(
            os.dup(stderr.fileno()), "w", encoding=stderr.encoding
        )
    else:
        handle = nullcontext(stderr)
    with (
        handle as file,
        make_bar(
            total=total, desc="reading images", unit="image", delay=1, leave=False, file=file
        ) as bar,
    ):
        yield bar
