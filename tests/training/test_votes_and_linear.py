"""Votes that learn together with a linear layer, against loops."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.memory.votes import FLOOR
from whence.records.images import ImageSet
from whence.training.distributed import Team
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.step import Batch, Criterion, LoneStep
from whence.training.votes_and_linear import VotesAndLinear

SHAPE = (1, 8, 8)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return whence.wrap(
        "small_cnn", 3, variant="votes", classifier="linear", image_shape=SHAPE, std=(0.5,)
    ).train()


@pytest.fixture
def batch(rng):
    images = torch.randint(0, 256, (11, *SHAPE), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 3, (11,), generator=rng)
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[2, 4] = mask[0, 0] = False
    return Batch(images[:5], labels[:5], images[5:], labels[5:], mask, 0)


@torch.no_grad()
def test_memory_and_other_images_of_the_batch_vote(model, batch):
    both = VotesAndLinear(model, Team())
    votes, linear = both(batch)
    asked, stored = (model.encode_features(one) for one in (batch.images, batch.memory))
    assert_close(linear, F.linear(asked, both.linear.weight, both.linear.bias))
    keys, known = (F.normalize(model.head.keys(model.head.level(one))) for one in (asked, stored))
    scale = float(model.head.log_scale.exp())
    for i in range(5):
        weights = [0.0, 0.0, 0.0]
        for j in range(6):
            if batch.mask[i, j]:
                weights[batch.memory_labels[j]] += math.exp(scale * float(keys[i] @ known[j]))
        for j in range(5):
            if j != i:
                weights[batch.labels[j]] += math.exp(scale * float(keys[i] @ keys[j]))
        shares = torch.tensor(weights) / sum(weights)
        assert_close(votes[i], torch.log(shares * (1 - FLOOR) + FLOOR / 3), rtol=1e-4, atol=1e-4)


def test_without_a_mask_only_an_image_itself_is_left_out(model, batch):
    both = VotesAndLinear(model, Team())
    everything = torch.ones_like(batch.mask)
    assert_close(both(batch._replace(mask=None)), both(batch._replace(mask=everything)))
    assert not torch.allclose(both(batch)[0], both(batch._replace(mask=None))[0])


def test_both_losses_are_added_and_the_votes_counted(batch):
    first = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 2], [2, 0, 0], [2, 0, 0]])
    second = first.roll(1, dims=1)
    labels = torch.tensor([0, 1, 2, 1, 1])
    step = LoneStep(lambda _: (first, second), Criterion(label_smoothing=0.1))
    loss, hits = step.loss(batch._replace(labels=labels))
    losses = [F.cross_entropy(one, labels, label_smoothing=0.1) for one in (first, second)]
    assert_close(loss, losses[0] + losses[1])
    assert float(hits) == pytest.approx(3 / 5)


def test_the_layer_is_dropped_and_the_votes_have_learned(model, rng):
    labels = torch.arange(60) % 3
    noise = torch.randint(0, 60, (60, *SHAPE), generator=rng)
    images = ImageSet(
        (noise + 60 * labels[:, None, None, None]).to(torch.uint8), labels, ("a", "b", "c")
    )
    names, state = list(model.state_dict()), torch.get_rng_state()
    recipe = Recipe(learning_rate=0.05, batch_size=10)
    fit(model, images, recipe=recipe, plan=Plan(epochs=8, memory_size=20))
    assert list(model.state_dict()) == names
    assert torch.equal(torch.get_rng_state(), state)
    found = whence.evaluate(model.remember(images), images, memory_size=20)
    assert found.whole_memory > 0.9
