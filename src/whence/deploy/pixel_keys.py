"""A few numbers by which a graph of plain operations knows an image that it stores itself."""

import math

import torch
from torch import Tensor

from whence.data.fingerprint import round_pixels
from whence.seeds import make_generator

KEYS = 3
"""Numbers an image; two different images share one by a chance of about 2 ** -bits."""

WHOLE_BITS = 53
"""Bits of a whole number that float64 holds exactly."""

LEAST_BITS = 16
NO_KEY = -1.0
"""In the place of the keys of an image that is no uint8 image; sums of pixels are 0 or more."""


def draw_factors(pixels: int) -> Tensor:
    """Draw the factor of each pixel for each key: whole numbers whose sums are exact in float64.

    A key is the sum of pixels times factors. Every partial sum is a whole number below 2 ** 53, so
    the order of the additions, which runtimes choose, changes nothing. That different images share
    a key takes one value of a factor among all: universal hashing, Carter and Wegman (1979).

    Args:
        pixels: C x H x W.

    Returns:
        `(pixels, KEYS)` int32.
    """
    bits = min(31, WHOLE_BITS - 8 - math.ceil(math.log2(pixels + 1)))
    if bits < LEAST_BITS:
        raise ValueError(f"images must have fewer pixels to be exported, got {pixels:,} numbers.")
    return torch.randint(2**bits, (pixels, KEYS), generator=make_generator(0), dtype=torch.int32)


def measure_keys(images: Tensor, factors: Tensor) -> Tensor:
    """Compute the keys `(B, KEYS)` float64 of uint8 images `(B, C, H, W)`."""
    return images.flatten(1).to(torch.float64) @ factors.to(torch.float64)


def keys_of_stored(images: Tensor, factors: Tensor, *, chunk: int = 256) -> Tensor:
    """Compute the keys `(M, KEYS)` of stored images, uint8 or float; those of others never match.

    Args:
        images: `(M, C, H, W)`, on the CPU.
        factors: `(C x H x W, KEYS)`.
        chunk: images looked at together, which bounds the memory that float64 takes.
    """
    found = []
    for part in images.split(chunk):
        pixels, whole = round_pixels(part)
        keys = measure_keys(pixels, factors)
        keys[~torch.tensor(whole, dtype=torch.bool)] = NO_KEY
        found.append(keys)
    return torch.cat(found)
