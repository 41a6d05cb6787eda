"""Cosines of features too long to be squared."""

import pytest
import torch
from torch.testing import assert_close

from whence.memory.attend import SMALL, attend, read_vectors
from whence.memory.attention import recall, score, weigh
from whence.memory.cosine import shorten, unit_scale


@pytest.fixture(params=[20, SMALL + 40])
def long(request, rng):
    """Queries and a memory of which every third row is far longer than 1.8e19."""
    queries = torch.randn(6, 9, generator=rng)
    memory = torch.randn(request.param, 9, generator=rng)
    queries[::3] *= 1e21
    memory[::3] *= 1e25
    memory[1::3] *= 1e-3
    return queries, memory


def test_scores_and_weights(long):
    queries, memory = long
    expected = score(*(side.double() for side in long))
    assert_close(score(queries, memory).double(), expected, rtol=0, atol=1e-6)
    weights = weigh(expected)
    for block in (1, 10**9):
        pairs = attend(queries, memory, block=block).pairs
        assert_close(pairs.weights.double(), weights[pairs.rows, pairs.places], rtol=0, atol=1e-5)
        sums = torch.zeros(6).index_add(0, pairs.rows, pairs.weights)
        assert_close(sums, torch.ones(6))


def test_a_scale_from_before(long):
    queries, memory = long
    scale = unit_scale(memory)
    assert_close(score(queries, memory, scale=scale), score(queries, memory))
    assert_close(attend(queries, memory, scale=scale).vectors, attend(queries, memory).vectors)


def test_gradients(long):
    """A row's gradient is as small as the row is long, so rows are compared by direction."""
    sides = [side.requires_grad_() for side in long]
    exact = [side.detach().double().requires_grad_() for side in long]
    slow = recall(weigh(score(*exact)), exact[1])
    expected = torch.autograd.grad(slow[:, 0].sum(), exact)
    vectors = read_vectors(*sides, similarity="cosine")
    assert_close(vectors.double(), slow, rtol=1e-4, atol=1e-4 * float(slow.detach().abs().max()))
    found = torch.autograd.grad(vectors[:, 0].sum(), sides)
    for one, other in zip(found, expected, strict=True):
        lengths = other.norm(dim=1, keepdim=True)
        used = lengths.squeeze(1) > 1e-30
        assert_close((one.double() / lengths)[used], (other / lengths)[used], rtol=1e-2, atol=1e-2)


def test_rows_that_are_not_long_stay_as_they_are(rng):
    features = torch.randn(5, 4, generator=rng)
    assert shorten(features).equal(features)
    for dtype, long in ((torch.float32, 1e30), (torch.float64, 1e200)):
        rows = features.to(dtype) * torch.tensor([1, long, 1, long, 1], dtype=dtype)[:, None]
        short = shorten(rows)
        assert short[::2].equal(rows[::2])
        assert (unit_scale(short) > 0).all()
        quotients = rows[1::2] / short[1::2]
        assert (quotients == quotients[:, :1]).all()
        assert (torch.frexp(quotients).mantissa == 0.5).all()  # a power of two
