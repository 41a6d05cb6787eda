"""Heads of few-shot networks: weights, masks, contexts and means, against slow second computations."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestCentroid
from torch.testing import assert_close

from tests.helpers.study_images import draw_shapes
from whence.studies.few_shot_rivals.heads import FullContext, MatchingHead, PrototypicalHead
from whence.studies.few_shot_rivals.trained import (
    RivalSizes,
    train_system,
)

SMALL = RivalSizes("small_cnn", 24, 1, 12, 9, 4, 30, 1)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def few_shapes():
    return draw_shapes()


def test_matching_weighs_labels_by_a_softmax_of_cosines(rng):
    queries, memory = torch.randn(4, 6, generator=rng), torch.randn(5, 6, generator=rng)
    labels = torch.tensor([0, 2, 2, 1, 0])
    read = MatchingHead(6, 3, context=False)(queries, memory, labels=labels)
    weights = np.exp(cosine_similarity(queries, memory))
    weights /= weights.sum(1, keepdims=True)
    assert_close(read.weights, torch.from_numpy(weights).float(), atol=1e-5, rtol=0)
    votes = weights @ np.eye(3)[labels]
    assert_close(read.logits.exp(), torch.from_numpy(votes).float(), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="labels must be those of the stored images, got none"):
        MatchingHead(6, 3, context=False)(queries, memory)


def test_a_masked_image_has_no_say(rng):
    queries, memory = torch.randn(3, 4, generator=rng), torch.randn(6, 4, generator=rng)
    labels, mask = torch.tensor([0, 1, 0, 1, 0, 1]), torch.ones(3, 6, dtype=torch.bool)
    mask[:, 0] = False
    for head in (MatchingHead(4, 2, context=False), PrototypicalHead(4, 2)):
        read = head(queries, memory, mask, labels=labels)
        assert_close(read.logits, head.logits(queries, memory[1:], labels=labels[1:]))
        assert float(read.weights[:, 0].detach().abs().max()) == 0


def test_full_context_is_the_loop_of_the_appendix(rng):
    context = FullContext(3, reads=2)
    queries, memory = torch.randn(2, 3, generator=rng), torch.randn(4, 3, generator=rng)
    asked, stored = context(queries, memory, None)
    forwards = torch.nn.LSTM(3, 3)
    backwards = torch.nn.LSTM(3, 3)
    for name, parameter in context.both_ways.named_parameters():
        own = backwards if name.endswith("_reverse") else forwards
        own.get_parameter(name.removesuffix("_reverse")).data = parameter.data
    expected = memory + forwards(memory)[0] + backwards(memory.flip(0))[0].flip(0)
    assert_close(stored, expected)
    rows = []
    for query in queries:
        hidden, cell = query, torch.zeros(3)
        for _ in range(2):
            shares = torch.stack([hidden @ one for one in stored]).softmax(0)
            seen = sum(share * one for share, one in zip(shares, stored, strict=True))
            gates = context.gates.weight @ torch.cat([query, hidden, seen]) + context.gates.bias
            took, kept, shown, new = gates.view(4, 3)
            cell = kept.sigmoid() * cell + took.sigmoid() * new.tanh()
            hidden = shown.sigmoid() * cell.tanh() + query
        rows.append(hidden)
    assert_close(asked, torch.stack(rows))


def test_prototypical_answers_as_the_nearest_centroid(rng):
    queries, memory = torch.randn(7, 4, generator=rng), torch.randn(9, 4, generator=rng)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 1])
    head = PrototypicalHead(4, 4)
    read = head(queries, memory, labels=labels)
    judge = NearestCentroid().fit(memory.numpy(), labels.numpy())
    assert read.logits[:, :3].argmax(1).tolist() == judge.predict(queries.numpy()).tolist()
    away = torch.cdist(queries, torch.from_numpy(judge.centroids_).float()).square()
    assert_close(read.logits[:, :3], -away, atol=1e-4, rtol=1e-4)
    assert_close(read.logits[:, 3], -away.amax(1), atol=1e-4, rtol=1e-4)  # without an image
    shares = read.logits.softmax(1)[:, labels] / labels.bincount()[labels]
    assert_close(read.weights, shares)


def test_a_matching_network_learns_a_context(few_shapes):
    model = train_system("Matching Networks, full context", few_shapes.train, SMALL, 0)
    assert model.head.context is not None
    assert model.bank is None
