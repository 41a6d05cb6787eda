"""Pairs of hashes that differ in few bits, found without comparing every two."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

NEAR_BITS = 12
"""Bits of 256 that the hashes of near-duplicates differ in at most.

Of 200 photographs of solar cells at 224 pixels, those brightened by 10 %, halved in size or written
as JPEG of quality 50 differ from themselves in 2 to 6 bits in the median. Of 2,624 cells at 96
pixels (3.4 million pairs) 89 pairs differ in at most 12 bits, none of them of two modules; from 14
bits on there are such (1 of 48; 11 of 133 at 18 to 20).
"""

BANDS = NEAR_BITS + 1
"""Parts of a hash: where at most ``NEAR_BITS`` bits differ, one part at least is equal."""

HASHES_AT_ONCE = 2**20
MOST_PAIRS = 100_000
TOO_ALIKE = (
    f"images must have fewer than {MOST_PAIRS:,} near-duplicates to be listed, they have more: "
    "they are too alike for a hash of what they show."
)

Places = NDArray[np.int64]


class Kinds(NamedTuple):
    """Different hashes, and where each of them is."""

    bits: NDArray[np.bool_]  # (U, 256)
    places: list[Places]  # of each kind


def pair_hashes(hashes: Tensor, others: Tensor | None = None) -> list[tuple[int, int, int]]:
    """Find the pairs of hashes that differ in at most ``NEAR_BITS`` bits.

    Each of ``BANDS`` parts of a hash is looked up among those of the others, and only hashes that
    share one are compared. Norouzi, Punjani and Fleet (2012), "Fast search in Hamming space with
    multi-index hashing", arXiv:1307.2982, section 2. Equal hashes are looked up once.

    Args:
        hashes: `(N, 256)` bool.
        others: `(M, 256)` bool, the second of each pair; None pairs ``hashes`` with themselves,
            each pair once.

    Returns:
        Places of both, and the bits in which they differ; in the order of the places.

    Raises:
        ValueError: if there are more than ``MOST_PAIRS``.
    """
    first = find_kinds(hashes)
    second = first if others is None else find_kinds(others)
    alike = [
        (first.places[one], second.places[other], bits)
        for one, other, bits in pair_kinds(first.bits, second.bits)
    ]
    count = sum(len(left) * len(right) for left, right, _ in alike)
    if others is None:  # both ways, and each hash with itself
        count = (count - len(hashes)) // 2
    if count > MOST_PAIRS:
        raise ValueError(TOO_ALIKE)
    return sorted(
        (one, other, bits)
        for left, right, bits in alike
        for one, other in product(left.tolist(), right.tolist())
        if others is not None or one < other
    )


def find_kinds(hashes: Tensor) -> Kinds:
    """Find which hashes `(N, 256)` are different, and the places of each, in order."""
    bits, kinds = np.unique(hashes.numpy(), axis=0, return_inverse=True)
    order = np.argsort(kinds.ravel(), kind="stable")
    return Kinds(bits, np.split(order, np.bincount(kinds.ravel()).cumsum()[:-1]))


def pair_kinds(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Find the pairs of rows that differ in few bits, with the number of these."""
    left, right = (np.packbits(bits, axis=1).view(np.uint64) for bits in (first, second))
    found: dict[tuple[int, int], int] = {}
    for band in range(BANDS):
        keys, others = (number_band(bits[:, band::BANDS]) for bits in (first, second))
        for rows, columns in share_key(keys, others):
            differ = np.bitwise_count(left[rows] ^ right[columns]).sum(1)
            near = differ <= NEAR_BITS
            pairs = zip(rows[near].tolist(), columns[near].tolist(), strict=True)
            found.update(zip(pairs, differ[near].tolist(), strict=True))
            if len(found) > 2 * MOST_PAIRS + len(first):
                raise ValueError(TOO_ALIKE)
    return [(one, other, bits) for (one, other), bits in found.items()]


def number_band(bits: NDArray[np.bool_]) -> Places:
    """Read each row of bits as a number."""
    found: Places = bits @ (1 << np.arange(bits.shape[1]))
    return found


def share_key(keys: Places, others: Places) -> Iterator[tuple[Places, Places]]:
    """Give the places of all pairs of equal keys, some ``HASHES_AT_ONCE`` at a time."""
    order = np.argsort(others, kind="stable")
    low, high = (np.searchsorted(others[order], keys, side) for side in ("left", "right"))
    ends = (high - low).cumsum()
    parts = np.flatnonzero(np.diff(ends // HASHES_AT_ONCE)) + 1
    for rows in np.split(np.arange(len(keys)), parts):
        counts = (high - low)[rows]
        inside = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        yield np.repeat(rows, counts), order[np.repeat(low[rows], counts) + inside]
