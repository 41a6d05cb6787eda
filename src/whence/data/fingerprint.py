"""Hashes that say whether two sets of images, or two images, are the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.data.names import compose
from whence.records.images import ImageSet
from whence.shapes import check_shape

FLOAT_NOISE = 1e-6
"""By how much a float may miss a uint8 divided by 255 and still be that pixel."""


def fingerprint(images: ImageSet) -> str:
    """Hash shape, class names, labels and pixels with SHA-256.

    The same on every machine and device, and for every memory layout; file names do not count, nor
    whether the umlauts of class names are one character or two.

    Returns:
        64 hexadecimal digits.
    """
    head = {"shape": list(images.images.shape), "classes": [compose(n) for n in images.class_names]}
    digest = hashlib.sha256(json.dumps(head).encode())
    digest.update(images.labels.cpu().numpy().astype("<i8").tobytes())
    digest.update(_bytes_of(images.images))
    return digest.hexdigest()


def content_hashes(images: Tensor) -> tuple[str, ...]:
    """Hash the pixels of each image with BLAKE2b, so that equal images have equal hashes.

    Args:
        images: `(B, C, H, W)` uint8, or floats in [0, 1]. An image whose floats are all within 1e-6
            of a uint8 divided by 255 counts as those uint8; of another the floats are hashed, as
            float32, so that only the very same numbers are equal.

    Returns:
        B strings of 32 hexadecimal digits, each of its own `(C, H, W)` and pixels only.
    """
    sizes = check_shape("images", images, "B C H W")
    shape = sizes["C"], sizes["H"], sizes["W"]
    start = hashlib.blake2b(json.dumps(shape).encode(), digest_size=16)
    length = sizes["C"] * sizes["H"] * sizes["W"]
    pixels, whole = round_pixels(images)
    rounded, exact = _bytes_of(pixels), memoryview(b"")
    if not all(whole):
        exact = images.detach().float().cpu().reshape(-1).numpy().data.cast("B")
    hashes = []
    for image in range(sizes["B"]):
        digest = start.copy()
        source, size = (rounded, length) if whole[image] else (exact, 4 * length)
        digest.update(source[image * size : (image + 1) * size])
        hashes.append(digest.hexdigest())
    return tuple(hashes)


def round_pixels(images: Tensor) -> tuple[Tensor, list[bool]]:
    """Bring images `(B, C, H, W)`, uint8 or float in [0, 1], to uint8.

    Returns:
        The uint8 images, and for each whether that lost nothing but float noise: at most 1e-6.
    """
    if images.dtype == torch.uint8:
        return images, [True] * len(images)
    values = to_float(images.detach())
    rounded = (values * 255).round().to(torch.uint8)
    near = (rounded.to(values.dtype) / 255 - values).abs() <= FLOAT_NOISE
    return rounded, near.flatten(1).all(1).tolist()


def number_equal(hashes: Sequence[str]) -> list[int]:
    """Number hashes from 0 on so that equal ones share a number.

    >>> number_equal(["a", "b", "a"])
    [0, 1, 0]
    """
    first: dict[str, int] = {}
    return [first.setdefault(name, len(first)) for name in hashes]


def _bytes_of(images: Tensor) -> memoryview:
    """Lay pixels out as bytes, image after image."""
    if images.dtype != torch.uint8:
        images = (to_float(images) * 255).round().to(torch.uint8)
    return images.detach().cpu().reshape(-1).numpy().data


def find_places(hashes: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """List where each of the hashes stands.

    >>> find_places(["a", "b", "a"])
    {'a': (0, 2), 'b': (1,)}
    """
    single = dict(zip(hashes, zip(range(len(hashes))), strict=True))
    if len(single) == len(hashes):  # no copies, as is usual: the quick way
        return single
    found: dict[str, list[int]] = {}
    for place, name in enumerate(hashes):
        found.setdefault(name, []).append(place)
    return {name: tuple(places) for name, places in found.items()}
