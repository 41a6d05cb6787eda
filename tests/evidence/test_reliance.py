"""How much of an answer comes from the memory."""

import pytest
import torch

import whence
from tests.helpers.explaining import build_with_memory, draw_images
from whence.evidence.reliance import log_odds, measure_reliance
from whence.evidence.reread import Cached
from whence.memory.feature_heads import MemoryWrap

IMAGES = draw_images(9)


def test_reliance_by_hand():
    """A linear head adds both parts up, so the log-odds of two classes split exactly."""
    head = MemoryWrap(2, 2, classifier="linear")
    with torch.no_grad():
        head.classifier.weight.copy_(torch.tensor([[1.0, 0, 3, 0], [0, 0, 0, 0]]))
        head.classifier.bias.zero_()
    memory = torch.tensor([[2.0, 0], [-2, 0]])
    queries = torch.tensor([[5.0, 0]])
    read = head(queries, memory)
    assert read.weights.tolist() == [[1, 0]]
    cached = Cached(head, queries, memory, memory, read.scores)
    # o = (0, 0): the image gives 5 - 0, the memory 3 (2 - 0)
    assert measure_reliance(cached, read).tolist() == [pytest.approx(6 / 11)]


def test_log_odds_by_hand():
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    p = logits.softmax(1)[0, 1]
    torch.testing.assert_close(log_odds(logits, torch.tensor([1]))[0], (p / (1 - p)).log())


def test_reliance_is_one_without_the_image_and_zero_when_the_memory_is_not_read():
    only = build_with_memory(variant="only-memory")
    assert all(e.reliance == 1 for e in whence.explain(only, IMAGES))
    model = build_with_memory()
    with torch.no_grad():
        model.head.classifier[0].weight[:, 5:] = 0
    model.remember(model.bank.images, model.bank.labels)
    assert all(e.reliance == 0 for e in whence.explain(model, IMAGES))
    with torch.no_grad():
        torch.nn.init.normal_(
            model.head.classifier[0].weight[:, 5:], generator=torch.Generator().manual_seed(0)
        )
        model.head.classifier[0].weight[:, :5] = 0
    model.remember(model.bank.images, model.bank.labels)
    assert all(e.reliance == 1 for e in whence.explain(model, IMAGES))
