"""Squared distances: right to the last digit of float32, however far the features are from zero."""

import pytest
import torch
from torch.testing import assert_close

from whence.memory.attend import attend
from whence.memory.attention import score, weigh

BLOCKS = (1, 5 * 64, 10**9)


def slowly(queries, memory):
    """In float64, one difference after the other."""
    queries, memory = queries.double(), memory.double()
    return torch.stack([-(query - memory).square().sum(1) for query in queries])


def near(length, rng, *, queries=5, stored=700, features=64):
    """Features of a length, each query at a distance of about 1 from some stored images."""
    memory = torch.randn(stored, features, generator=rng)
    memory *= length / memory.norm(dim=1, keepdim=True)
    noise = torch.randn(queries, 12, features, generator=rng) / features**0.5
    memory[: queries * 12] = (memory[-queries:, None] + noise).flatten(0, 1)
    return memory[-queries:].clone(), memory[:-queries]


@pytest.mark.parametrize("length", [1, 80, 2400])
def test_scores_and_weights_of_long_features(length, rng):
    queries, memory = near(length, rng)
    expected = slowly(queries, memory)
    found = score(queries, memory, similarity="l2")
    assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    weights = weigh(expected)
    assert ((weights > 0).sum(1) > 1).all(), "pick a case in which several have a weight"
    assert_close(weigh(found).double(), weights, rtol=0, atol=2e-6)
    for block in BLOCKS:
        pairs = attend(queries, memory, similarity="l2", block=block).pairs
        assert pairs.rows.equal(weights.nonzero()[:, 0])
        assert pairs.places.equal(weights.nonzero()[:, 1])
        assert_close(pairs.weights.double(), weights[weights > 0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_products_lose_is_taken_off_the_bound(dtype, rng):
    """Whole numbers far from zero: their squares are beyond float64, their distances are small."""
    memory = torch.randint(0, 3, (700, 64), generator=rng)
    queries = memory[:5].clone()
    queries[:, :2] += 1
    expected = weigh(-(queries[:, None] - memory).square().sum(2).double())
    far = 2**23 if dtype == torch.float32 else 2**40
    for block in BLOCKS:
        found = attend(
            (queries + far).to(dtype), (memory + far).to(dtype), similarity="l2", block=block
        )
        assert_close(found.pairs.weights.double(), expected[expected > 0])
        assert found.pairs.places.equal(expected.nonzero()[:, 1])


@pytest.mark.parametrize("length", [1, 80, 2400, 1e6])
def test_the_size_of_a_block_changes_no_digit(length, rng):
    queries, memory = near(length, rng)
    whole = attend(queries, memory, similarity="l2")
    for block in (1, 5 * 32, 5 * 100, 5 * 333):
        parts = attend(queries, memory, similarity="l2", block=block)
        assert parts.vectors.equal(whole.vectors)
        for one, other in zip(parts.pairs, whole.pairs, strict=True):
            assert one.equal(other)


def test_no_squared_distance_is_above_zero(rng):
    memory = 1000 + torch.randn(700, 64, generator=rng)
    assert (score(memory[:9], memory, similarity="l2") <= 0).all()
    pairs = attend(memory[:9], memory, similarity="l2").pairs
    assert (pairs.scores[pairs.places == pairs.rows] == 0).all()
    assert (pairs.scores <= 0).all()


def test_second_derivatives_and_transforms(rng):
    queries, memory = (torch.randn(n, 4, generator=rng, dtype=torch.float64) for n in (3, 5))
    queries.requires_grad_(), memory.requires_grad_()

    def compare(queries, memory):
        return score(queries, memory, similarity="l2")

    assert torch.autograd.gradgradcheck(compare, (queries, memory))
    with torch.no_grad():
        alone = torch.func.vmap(lambda query: compare(query[None], memory)[0])(queries)
        assert_close(alone, compare(queries, memory))
