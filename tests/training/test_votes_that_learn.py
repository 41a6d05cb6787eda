"""Votes whose encoder learns: it learns for a linear layer, then they compare its features."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.memory.feature_heads import Standard
from whence.records.images import ImageSet
from whence.training.fit import fit
from whence.training.labelled import Labelled, hold_out
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.voting import SHARPNESSES, choose_sharpness

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


def test_votes_compare_the_features_that_the_encoder_learned(images, trained):
    model, _ = trained
    with torch.no_grad():
        features = model.encode_features(images.images)
        keys = model.encode(images.images)
    centred = features - features.mean(0)
    cosines = F.cosine_similarity(centred[:, None], centred, dim=2)
    assert_close(keys @ keys.T / model.head.sharpness, cosines, rtol=1e-4, atol=1e-4)


def test_how_they_are_read_is_chosen_on_validation_images(images, trained):
    model, _ = trained
    stored = Labelled(model.encode_features(images.images).detach(), images.labels)
    assert float(model.head.sharpness) == choose_sharpness(
        copy.deepcopy(model.head), stored, stored
    )
    alone = make()
    fit(alone, images, recipe=RECIPE, plan=PLAN)
    part, kept = hold_out(stored, PLAN.seed)
    assert float(alone.head.sharpness) == choose_sharpness(copy.deepcopy(model.head), part, kept)
    assert alone.head.handicaps is None
    unequal = images.take([*range(0, 60, 3), *range(1, 31, 3), *range(2, 17, 3)])
    fit(alone, unequal, recipe=RECIPE, plan=replace(PLAN, epochs=1, balance="memory"))
    assert alone.head.sharpness in SHARPNESSES


def test_nothing_but_votes_is_left_and_they_are_right(images, trained):
    model, _ = trained
    assert list(model.state_dict()) == list(make().state_dict())
    assert not model.training
    assert not model.head.training
    found = whence.evaluate(copy.deepcopy(model).remember(images), images, memory_size=9)
    assert found.whole_memory > 0.9
    assert found.reliance.changed_share == 1
