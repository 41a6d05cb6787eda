"""A similarity that is not in the table yet: its score alone is enough, whatever the memory."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.explaining import CLASSES, SHAPE, draw_images
from whence.memory import SIMILARITIES
from whence.memory.attend import attend, read_vectors
from whence.memory.attention import recall, score, weigh
from whence.memory.similarity import Similarity, find_similarity
from whence.table import Table


def compare_by_city_blocks(queries, memory):
    return -torch.cdist(queries, memory, p=1)


CITY_BLOCKS = Similarity(compare_by_city_blocks)


@pytest.fixture
def city_blocks(monkeypatch):
    entries = {name: f"whence.memory.similarities:{name.upper()}" for name in SIMILARITIES}
    entries["city_blocks"] = f"{__name__}:CITY_BLOCKS"
    monkeypatch.setattr("whence.memory.similarity.SIMILARITIES", Table("similarity", entries))
    return "city_blocks"


@pytest.mark.parametrize("name", SIMILARITIES)
def test_every_entry_of_the_table_is_a_similarity(name):
    assert isinstance(find_similarity(name), Similarity)


@pytest.mark.parametrize("stored", [100, 3000])
def test_vectors_weights_and_gradients_of_a_new_one(rng, city_blocks, stored):
    queries = torch.randn(4, 6, generator=rng, dtype=torch.float64).requires_grad_()
    memory = torch.randn(stored, 6, generator=rng, dtype=torch.float64).requires_grad_()
    direction = torch.randn(4, 6, generator=rng, dtype=torch.float64)
    weights = weigh(score(queries, memory, similarity=city_blocks))
    vectors = recall(weights, memory)
    expected = torch.autograd.grad(vectors, (queries, memory), direction, retain_graph=True)
    for block in (100, 10**6):
        found = attend(queries, memory, similarity=city_blocks, block=block)
        assert_close(found.vectors, vectors)
        assert_close(found.pairs.weights, weights[found.pairs.rows, found.pairs.places])
        assert_close(torch.autograd.grad(found.vectors, (queries, memory), direction), expected)
    found = read_vectors(queries, memory, similarity=city_blocks)
    assert_close(torch.autograd.grad(found, (queries, memory), direction), expected)
    read = attend(queries, memory, similarity=city_blocks).pairs.weights.square().sum()
    expected = torch.autograd.grad(weights.square().sum(), (queries, memory))
    assert_close(torch.autograd.grad(read, (queries, memory)), expected)


@pytest.mark.parametrize("stored", [100, 3000])
def test_a_model_with_a_new_one_answers_and_explains(city_blocks, stored):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    model = whence.wrap(encoder, CLASSES, image_shape=SHAPE, similarity=city_blocks).eval()
    memory, images = draw_images(stored, seed=2), draw_images(3)
    model.remember(memory)
    with torch.no_grad():
        read = model.read(images, memory)
    for found in (whence.predict(model, images), whence.explain(model, images, draws=2)):
        for row, answer in enumerate(found):
            places = [item.index for item in answer.evidence]
            weights = torch.tensor([item.weight for item in answer.evidence])
            assert_close(weights, read.weights[row, places])
            assert int((read.weights[row] > 0).sum()) == len(places)
            assert_close(answer.probabilities, read.logits[row].softmax(0))
