"""Near-duplicates: images that look the same though their pixels differ, by a perceptual hash."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from whence.data.augment import to_float
from whence.records.images import ImageSet
from whence.records.near_pairs import NearPair
from whence.shapes import check_shape

HASH_SIDE = 16
"""Rows and columns of the lowest frequencies that a hash is made of: 256 bits."""

NEAR_BITS = 12
"""Bits of 256 that the hashes of near-duplicates differ in at most.

Of 200 photographs of solar cells at 224 pixels, those brightened by 10 %, halved in size or written
as JPEG of quality 50 differ from themselves in 2 to 6 bits in the median, of two different ones 57
pairs of 3.4 million in 10 or fewer (many of these are the same module, photographed twice).
"""

HASHES_AT_ONCE = 1024
EXTRA = "ImageHash is needed: python -m pip install 'whence[duplicates]'"


def hash_perceptually(images: Tensor) -> Tensor:
    """Hash what images show: the signs of their low frequencies, by the library ImageHash.

    Args:
        images: `(N, C, H, W)` uint8, or floats in [0, 1].

    Returns:
        `(N, 256)` bool.

    Raises:
        ModuleNotFoundError: without the extra ``duplicates``.
    """
    check_shape("images", images, "N C H W")
    try:
        import imagehash  # late: an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"To find near-duplicates, {EXTRA}.") from error
    grey = images.float() if images.dtype == torch.uint8 else to_float(images) * 255
    pixels = grey.mean(1).round().to(torch.uint8).cpu().numpy()  # (N, H, W)
    hashes = [imagehash.phash(Image.fromarray(one), hash_size=HASH_SIDE) for one in pixels]
    return torch.tensor([one.hash.tolist() for one in hashes]).reshape(len(pixels), HASH_SIDE**2)


def pair_hashes(hashes: Tensor, others: Tensor | None = None) -> list[tuple[int, int, int]]:
    """Find the pairs of hashes that differ in few bits.

    Args:
        hashes: `(N, 256)` bool.
        others: `(M, 256)` bool, the second of each pair; None pairs ``hashes`` with themselves,
            each pair once.

    Returns:
        Places of both, and the bits in which they differ; in the order of the places.
    """
    bits = hashes.float()
    second = bits if others is None else others.float()
    found: list[tuple[int, int, int]] = []
    for first in range(0, len(bits), HASHES_AT_ONCE):
        part = bits[first : first + HASHES_AT_ONCE]
        differ = part.sum(1)[:, None] + second.sum(1) - 2 * part @ second.T  # (n, M)
        near = differ <= NEAR_BITS
        if others is None:
            near &= torch.arange(len(second)) > torch.arange(first, first + len(part))[:, None]
        rows, columns = near.nonzero(as_tuple=True)
        distances = differ[rows, columns].long().tolist()
        found += zip((rows + first).tolist(), columns.tolist(), distances, strict=True)
    return found


def find_near_duplicates(
    images: ImageSet, *, measured: ImageSet | None = None
) -> tuple[NearPair, ...]:
    """List images that look the same, nearest first; of two sets those across them first.

    Args:
        images: labelled, for example those that a model was trained on ("stored").
        measured: of the same classes, for example those that it is tested on ("measured").

    Raises:
        ModuleNotFoundError: without the extra ``duplicates``.
    """
    sets = {"stored": images} if measured is None else {"stored": images, "measured": measured}
    hashes = {name: hash_perceptually(one.images) for name, one in sets.items()}
    found = [
        describe_pair(sets, (name, name), *pair)
        for name in sets
        for pair in pair_hashes(hashes[name])
    ]
    if measured is not None:
        across = pair_hashes(hashes["stored"], hashes["measured"])
        found += [describe_pair(sets, ("stored", "measured"), *pair) for pair in across]
    return tuple(sorted(found, key=lambda one: (not one.across, one.distance)))


def describe_pair(
    sets: dict[str, ImageSet], parts: tuple[str, str], first: int, second: int, distance: int
) -> NearPair:
    """Name two images and their labels."""
    chosen = [(sets[part], place) for part, place in zip(parts, (first, second), strict=True)]
    names = [name_row(one.sources, place) for one, place in chosen]
    labels = [one.class_names[int(one.labels[place])] for one, place in chosen]
    return NearPair(first, second, parts, (names[0], names[1]), (labels[0], labels[1]), distance)


def name_row(sources: Sequence[str] | None, place: int) -> str:
    """Name an image by its file, or by its place."""
    return f"image {place}" if sources is None else sources[place]
