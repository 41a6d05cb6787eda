"""Numbers that a report takes from a path: which steps it shows, and where the gain lies."""

import math

from torch import Tensor

from whence.records.morphed import Mask

SHOWN_STEPS = 10
"""Images of a path that a page shows."""

MOST = 0.8
"""The steps that a page names as the place of the gain hold this share of it."""

LEAST_GAIN = 0.05
"""Probability that a path must gain before shares of it are worth a number."""


def spread_steps(steps: int, shown: int = SHOWN_STEPS) -> tuple[int, ...]:
    """Choose steps of a path at even distances, the first and the last among them.

    >>> spread_steps(100, 4), spread_steps(3)
    ((0, 33, 66, 99), (0, 1, 2))
    """
    if steps <= shown:
        return tuple(range(steps))
    return tuple(round(place * (steps - 1) / (shown - 1)) for place in range(shown))


def place_gain(gains: Tensor, share: float = MOST) -> tuple[int, int] | None:
    """Find where on a path most of the gain lies.

    Args:
        gains: `(S - 1,)` of each step; losses do not count.
        share: of the sum of the gains.

    Returns:
        The first and the last step of the shortest stretch that holds so much of it, the first such
        stretch of equal ones; None where nothing is gained.
    """
    found = gains.double().nan_to_num(nan=0.0).clamp_min(0).tolist()
    wanted = share * sum(found) * (1 - 1e-9)  # rounding must not ask for one more step
    if wanted <= 0:
        return None
    best, first, held = (0, len(found) - 1), 0, 0.0
    for last, gain in enumerate(found):
        held += gain
        while held - found[first] >= wanted:
            held -= found[first]
            first += 1
        if held >= wanted and last - first < best[1] - best[0]:
            best = first, last
    return best


def share_kept(mask: Mask) -> float | None:
    """Return which part of the path's whole gain the mask keeps; None where that hardly gains."""
    whole, kept = (float(gains.double().sum()) for gains in (mask.full_gains, mask.gains))
    return kept / whole if whole >= LEAST_GAIN and math.isfinite(kept) else None
