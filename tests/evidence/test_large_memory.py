"""Evaluation against a large memory looks at what has a weight, a bounded number at a time."""

import pytest
import torch
from torch.testing import assert_close

import whence
from benchmarks import large_memory
from tests.helpers.torch_calls import TorchCalls
from whence.evidence import answers
from whence.evidence.answers import Memory, answer, read_memory, rows_at_once, signals_of
from whence.evidence.controls import find_nearest
from whence.memory.attend import attend, lay_out

TOTAL = 700
"""Stored images: more than are read with dense weights."""


@pytest.fixture(params=["memory-wrap", "only-memory"])
def model(request):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, variant=request.param, image_shape=(1, 8, 8)).eval()


@pytest.fixture
def memory(model, rng):
    features = torch.randn(TOTAL, model.features, generator=rng)
    own = torch.randint(3, (TOTAL,), generator=rng)
    return Memory(features, torch.arange(TOTAL) % 3, own)


@pytest.fixture
def asked(model, rng):
    return torch.randn(11, model.features, generator=rng), torch.arange(11) % 3


@torch.no_grad()
def test_answers_of_a_large_memory_are_those_of_dense_weights(model, memory, asked, monkeypatch):
    def find():
        return answer(model, *asked, memory, signals=signals_of(model), batch_size=8)

    sparse = find()
    monkeypatch.setattr(answers, "SMALL", TOTAL)
    dense = find()
    assert_close(sparse.logits, dense.logits)
    assert_close(sparse.doubts, dense.doubts, rtol=1e-5, atol=1e-5)
    assert_close(sparse.traces.purity, dense.traces.purity)
    assert sparse.traces.support.equal(dense.traces.support)
    assert sparse.traces.agrees.equal(dense.traces.agrees)
    assert 0 < int(sparse.traces.agrees.sum()) < 11
    assert 1 < int(sparse.traces.support.min()) < int(sparse.traces.support.max()) < TOTAL / 2


@torch.no_grad()
def test_only_a_large_memory_is_read_by_its_weights(model, memory, asked):
    read, places, _ = read_memory(model.memory_head, asked[0], memory)
    assert read.weights.shape == read.scores.shape == places.shape
    assert places.shape[1] == int((read.weights > 0).sum(1).max()) < TOTAL
    few = Memory(*(column[:512] for column in memory[:3]))
    read, places, _ = read_memory(model.memory_head, asked[0], few)
    assert places.equal(torch.arange(512).expand(11, 512))
    assert read.weights.shape == (11, 512)


@torch.no_grad()
def test_fewer_at_once_give_the_same_answers(model, memory, asked, monkeypatch):
    def find():
        """Answers, and how many rows there were of all scores that were held at once."""
        with TorchCalls() as calls:
            found = answer(model, *asked, memory, batch_size=8)
        wide = [shape for shape in calls.shapes() if len(shape) == 2 and shape[1] >= TOTAL]
        return found, {rows for rows, _ in wide if rows != model.features}  # but the memory itself

    whole, rows = find()
    assert rows == {8, 3}
    monkeypatch.setattr(answers, "PAIRS", 2 * TOTAL + 60)
    parts, rows = find()
    assert rows == {2, 1}
    assert_close(parts.logits, whole.logits)


@torch.no_grad()
def test_both_sides_of_the_benchmark_answer_alike(rng):
    model = large_memory.remember(TOTAL, rng)
    memory = Memory.of(model)
    queries = torch.randn(45, model.features, generator=rng)
    sparse, dense = (
        ask(model, queries, memory) for ask in (large_memory.ask, large_memory.ask_densely)
    )
    assert_close(sparse.logits, dense.logits)
    assert sparse.traces.support.equal(dense.traces.support)
    assert find_nearest(queries, memory.features, batch_size=128).equal(
        torch.cdist(queries, memory.features).argmin(1)
    )


def test_a_memory_of_any_size_leaves_one_row(monkeypatch):
    monkeypatch.setattr(answers, "PAIRS", 100)
    assert [rows_at_once(8, size) for size in (10, 12, 13, 50, 51, 101)] == [8, 8, 7, 2, 1, 1]


def test_rows_without_a_pair_are_filled_up(rng):
    queries, stored = torch.randn(3, 5, generator=rng), torch.randn(7, 5, generator=rng)
    queries[1] = torch.nan
    pairs = attend(queries, stored).pairs
    places, weights, scores = lay_out(pairs, 3)
    assert weights[1].eq(0).all()
    assert scores[1].eq(-torch.inf).all()
    assert places[1].eq(0).all()
    chosen = weights > 0
    assert weights[chosen].equal(pairs.weights)
    assert places[chosen].equal(pairs.places)
    assert scores[chosen].equal(pairs.scores)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_nearest_is_found_far_from_zero(dtype, rng):
    """Also in half precision; of equally near ones the first."""
    queries, stored = (torch.randn(n, 6, generator=rng) + 40 for n in (9, 50))
    queries, stored = queries.to(dtype), stored.to(dtype)
    stored[31] = stored[7]  # a copy, later
    queries[0] = stored[7]
    expected = torch.cdist(
        queries.double(), stored.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    for batch_size in (4, 100):
        found = find_nearest(queries, stored, batch_size=batch_size)
        assert found.equal(expected.argmin(1))
        assert found[0] == 7
