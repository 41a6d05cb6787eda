"""Where the gain of a path lies, and what its mask keeps."""

import math
from itertools import pairwise

import pytest
import torch

from tests.helpers.morph_pages import mask
from whence.report.path_numbers import place_gain, share_kept, spread_steps


@pytest.mark.parametrize(
    "gains, share, expected",
    [
        ([0.0, 1.0, 0.0, 0.0], 0.8, (1, 1)),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 0.8, (0, 3)),
        ([0.1, 0.4, 0.4, 0.1], 0.8, (1, 2)),
        ([5.0, -9.0, 5.0], 1.0, (0, 2)),
        ([5.0, -9.0, 1.0], 0.5, (0, 0)),
        ([math.nan, 0.0, 2.0], 0.8, (2, 2)),
        ([0.0, 0.0], 0.8, None),
        ([-1.0, -2.0], 0.8, None),
    ],
)
def test_where_the_gain_lies(gains, share, expected):
    assert place_gain(torch.tensor(gains), share) == expected


def test_where_the_gain_lies_by_trying_every_stretch(rng):
    for _ in range(40):
        gains = torch.rand(9, generator=rng).square().tolist()
        fits = [
            (last - first, first, last)
            for first in range(9)
            for last in range(first, 9)
            if sum(gains[first : last + 1]) >= 0.8 * sum(gains)
        ]
        assert place_gain(torch.tensor(gains, dtype=torch.float64)) == min(fits)[1:]


def test_what_the_mask_keeps():
    assert share_kept(mask()) == pytest.approx(0.6 / 0.9)
    assert share_kept(mask(full_gains=torch.zeros(12))) is None
    assert share_kept(mask(full_gains=torch.full((12,), -0.1))) is None
    assert share_kept(mask(gains=torch.full((12,), math.nan))) is None


def test_a_gain_too_small_for_shares():
    little = mask(gains=torch.full((12,), 0.02), full_gains=torch.full((12,), 0.004))
    assert share_kept(little) is None
    enough = mask(gains=torch.full((12,), 0.02), full_gains=torch.full((12,), 0.005))
    assert share_kept(enough) == pytest.approx(4)


@pytest.mark.parametrize("steps", [2, 3, 9, 10, 11, 37, 100])
def test_steps_that_are_shown(steps):
    found = spread_steps(steps)
    assert (found[0], found[-1], len(found)) == (0, steps - 1, min(steps, 10))
    apart = [right - left for left, right in pairwise(found)]
    assert max(apart) - min(apart) <= 1
    assert min(apart) >= 1
