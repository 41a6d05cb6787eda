"""Evaluation against a large memory looks at a bounded number of pairs at a time."""

import pytest
import torch
from torch.testing import assert_close

import whence
from whence.prediction import answers, controls
from whence.prediction.answers import Memory, answer, rows_at_once, signals_of
from whence.prediction.controls import measure_nearest


@pytest.fixture
def model():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval()


@pytest.fixture
def memory(model, rng):
    features = torch.rand(29, model.features, generator=rng)
    return Memory(features, torch.arange(29) % 3, torch.arange(29) // 3 % 3)


def test_fewer_at_once_give_the_same_answers(model, memory, rng, monkeypatch):
    queries, labels = torch.rand(11, model.features, generator=rng), torch.arange(11) % 3
    signals, seen = signals_of(model), []
    model.head.register_forward_hook(lambda _, given, read: seen.append(len(given[0])))
    with torch.no_grad():
        whole = answer(model, queries, labels, memory, signals=signals, batch_size=8)
        nearest = measure_nearest(queries, whole.logits, labels, memory, batch_size=8)
        assert seen == [8, 3]
        monkeypatch.setattr(answers, "PAIRS", 60)
        seen.clear()
        compared = []
        monkeypatch.setattr(
            controls,
            "l2",
            lambda part, all_: compared.append(len(part)) or -torch.cdist(part, all_),
        )
        parts = answer(model, queries, labels, memory, signals=signals, batch_size=8)
        again = measure_nearest(queries, whole.logits, labels, memory, batch_size=8)
    assert seen == compared == [2, 2, 2, 2, 2, 1]
    assert_close(parts.logits, whole.logits)
    assert_close(parts.doubts, whole.doubts, rtol=1e-5, atol=1e-5)
    assert_close(parts.traces.purity, whole.traces.purity)
    assert parts.traces.support.equal(whole.traces.support)
    assert again == nearest


def test_a_memory_of_any_size_leaves_one_row(monkeypatch):
    monkeypatch.setattr(answers, "PAIRS", 100)
    assert [rows_at_once(8, size) for size in (10, 12, 13, 50, 51, 101)] == [8, 8, 7, 2, 1, 1]
