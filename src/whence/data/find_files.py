"""Find images again by their pixels, where they were or anywhere in a folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes, find_places
from whence.data.image_file import read_readable
from whence.data.names import find_path, list_images, read_name

FILES_AT_ONCE = 1024
"""Files whose pixels are held at once while they are looked through."""


class FoundFiles(NamedTuple):
    """Images that were looked for in a folder."""

    images: Tensor  # (N, C, H, W) uint8, black where missing
    sources: tuple[str, ...]  # below the folder; the name that was given where missing
    missing: tuple[int, ...]  # places in what was looked for


def find_files(
    root: Path,
    hashes: Sequence[str],
    sources: Sequence[str],
    image_shape: tuple[int, int, int],
) -> FoundFiles:
    """Find images of known pixels: first by their file names, then among all files of a folder.

    Args:
        root: the folder.
        hashes: of the pixels of `N` images, as ``content_hashes`` computes them from files that
            are read in ``image_shape``.
        sources: the file of each, below ``root``, with forward slashes.
        image_shape: (C, H, W).
    """
    images = torch.zeros(len(hashes), *image_shape, dtype=torch.uint8)
    names, left = list(sources), set(range(len(hashes)))
    places = find_places(sources)
    there = [name for name in places if find_path(root, name).is_file()]
    for name, found, image in read_hashed(root, there, image_shape):
        for place in places[name]:
            if hashes[place] == found:
                images[place] = image
                left.discard(place)
    if left:
        wanted = find_places(hashes)
        names_there = [read_name(p.relative_to(root).as_posix()) for p in list_images(root)]
        for name, found, image in read_hashed(root, names_there, image_shape):
            for place in left.intersection(wanted.get(found, ())):
                images[place], names[place] = image, name
                left.discard(place)
            if not left:
                break
    return FoundFiles(images, tuple(names), tuple(sorted(left)))


def read_hashed(
    root: Path, names: Sequence[str], image_shape: tuple[int, int, int]
) -> Iterator[tuple[str, str, Tensor]]:
    """Read files below a folder and hash their pixels; those that are damaged are left out.

    Yields:
        Name, hash and `(C, H, W)` pixels.
    """
    channels, height, width = image_shape
    for first in range(0, len(names), FILES_AT_ONCE):
        chunk = names[first : first + FILES_AT_ONCE]
        paths = [find_path(root, name) for name in chunk]
        found, problems = read_readable(paths, size=(height, width), channels=channels)
        kept = [name for place, name in enumerate(chunk) if place not in problems]
        yield from zip(kept, content_hashes(found.images), found.images, strict=True)
