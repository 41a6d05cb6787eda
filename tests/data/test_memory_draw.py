"""Memory draws: distinct, uniform, seeded, quick."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from whence.data.memory_draw import draw_memory


@pytest.mark.parametrize(
    "total, memory_size", [(1, 1), (5, 5), (100, 60), (400, 100), (50_000, 1000)]
)
def test_distinct_and_in_range(total, memory_size, rng):
    for _ in range(20):
        drawn = draw_memory(total, memory_size, generator=rng)
        assert drawn.shape == (memory_size,)
        assert drawn.dtype == torch.int64
        assert len(drawn.unique()) == memory_size
        assert int(drawn.min()) >= 0
        assert int(drawn.max()) < total


@pytest.mark.parametrize("total, memory_size", [(8, 2), (4, 2)], ids=["stream", "permutation"])
def test_every_ordered_choice_is_equally_likely(total, memory_size, rng):
    draws = 200 * math.perm(total, memory_size)
    seen = torch.stack([draw_memory(total, memory_size, generator=rng) for _ in range(draws)])
    code = (seen * total ** torch.arange(memory_size)).sum(1).bincount(minlength=total**memory_size)
    choices = list(itertools.permutations(range(total), memory_size))
    often = torch.stack(
        [code[sum(value * total**place for place, value in enumerate(c))] for c in choices]
    )
    chi_square = ((often - 200) ** 2 / 200).sum()
    freedom = len(choices) - 1
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)


def test_follows_the_generator():
    first, again = (
        draw_memory(900, 30, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert_close(first, again)
    generator = torch.Generator().manual_seed(5)
    assert_close(draw_memory(900, 30, generator=generator), first)
    assert not torch.equal(draw_memory(900, 30, generator=generator), first)


@pytest.mark.parametrize("size", [100, 99_000])
def test_few_of_many_and_nearly_all_of_them(rng, size):
    found = draw_memory(100_000, size, generator=rng)
    assert len(found.unique()) == size
    assert 0 <= int(found.min()) <= int(found.max()) < 100_000


def test_rejects(rng):
    with pytest.raises(
        ValueError, match="at most the number of images to draw from, 5, got 6; choose a smaller"
    ):
        draw_memory(5, 6, generator=rng)
    with pytest.raises(ValueError, match="memory_size must be at least 1, got 0"):
        draw_memory(5, 0, generator=rng)
