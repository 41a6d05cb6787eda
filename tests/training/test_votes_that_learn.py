"""Votes whose encoder learns: it learns for a linear layer, then they are trained on its features."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import whence
from whence.memory.heads import Standard
from whence.records.images import ImageSet
from whence.training.fit import KEY_EPOCHS, fit
from whence.training.plan import Plan
from whence.training.recipes import RECIPES, Recipe

SHAPE = (1, 8, 8)
RECIPE = Recipe(learning_rate=0.05, batch_size=10)
PLAN = Plan(epochs=4, memory_size=9, seed=5)


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    noise = torch.randint(0, 60, (60, *SHAPE), generator=generator)
    pixels = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    return ImageSet(pixels, labels, ("a", "b", "c"))


def make(variant="votes"):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, variant=variant, image_shape=SHAPE, std=(0.5,))


@pytest.fixture(scope="module")
def trained(images):
    model, reports = make(), []
    state = torch.get_rng_state()
    fit(model, images, recipe=RECIPE, plan=PLAN, validation=images, on_epoch=reports.append)
    assert torch.equal(torch.get_rng_state(), state)
    return model, reports


def test_the_encoder_is_that_of_a_model_with_a_linear_layer(images, trained):
    model, reports = trained
    other, told = make("standard"), []
    torch.manual_seed(PLAN.seed)
    other.head = Standard(128, 3)
    fit(other, images, recipe=RECIPE, plan=PLAN, on_epoch=told.append)
    for name, tensor in other.encoder.state_dict().items():
        assert_close(model.encoder.state_dict()[name], tensor, rtol=0, atol=0)
    assert reports == told


def test_the_votes_are_those_of_a_frozen_encoder(images, trained):
    model, _ = trained
    other = copy.deepcopy(model)
    other.head = make().head
    frozen = replace(PLAN, epochs=KEY_EPOCHS, freeze_encoder=True)
    fit(other, images, recipe=RECIPES["at-once"], plan=frozen, validation=images)
    for name, tensor in other.state_dict().items():
        assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    start = make().head.state_dict()
    assert not torch.equal(start["keys.plain.weight"], model.head.state_dict()["keys.plain.weight"])


def test_nothing_but_votes_is_left_and_they_are_right(images, trained):
    model, _ = trained
    assert list(model.state_dict()) == list(make().state_dict())
    assert not model.training
    assert not model.head.training
    found = whence.evaluate(copy.deepcopy(model).remember(images), images, memory_size=9)
    assert found.whole_memory > 0.9
    assert found.reliance.changed_share == 1
