"""Near-duplicates: images that look the same though their pixels differ, by a perceptual hash."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from whence.data.augment import to_float
from whence.data.hash_pairs import pair_hashes
from whence.kinds import check_arguments
from whence.records.images import ImageSet
from whence.records.near_pairs import NearPair
from whence.shapes import check_shape

HASH_SIDE = 16
"""Rows and columns of the lowest frequencies that a hash is made of: 256 bits."""

HASHED_AT_ONCE = 256
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
    found = torch.empty(len(images), HASH_SIDE**2, dtype=torch.bool)
    for place, part in enumerate(images.split(HASHED_AT_ONCE)):
        grey = part.float() if part.dtype == torch.uint8 else to_float(part) * 255
        pixels = grey.mean(1).round().to(torch.uint8).cpu().numpy()  # (n, H, W)
        for row, one in enumerate(pixels, place * HASHED_AT_ONCE):
            hashed = imagehash.phash(Image.fromarray(one), hash_size=HASH_SIDE).hash
            found[row] = torch.from_numpy(hashed.ravel())
    return found


@check_arguments
def find_near_duplicates(
    images: ImageSet, *, measured: ImageSet | None = None
) -> tuple[NearPair, ...]:
    """List images that look the same, nearest first; of two sets those across them first.

    Args:
        images: labelled, for example those that a model was trained on ("stored").
        measured: of the same classes, for example those that it is tested on ("measured").

    Raises:
        ModuleNotFoundError: without the extra ``duplicates``.
        ValueError: if there are more than 100,000 pairs.
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
