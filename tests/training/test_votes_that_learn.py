"""Votes whose encoder learns: it learns for a linear layer, then they compare its features."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.memory.feature_heads import Standard
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.records.images import ImageSet
from whence.training.fit import fit
from whence.training.labelled import Labelled, hold_out
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.voting import SHARPNESSES, choose_sharpness

SHAPE = (1, 8, 8)
RECIPE = Recipe(learning_rate=0.05, batch_size=10)
PLAN = Plan(epochs=4, memory_size=9, seed=5)
FROZEN = replace(PLAN, epochs=1, freeze_encoder=True)


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


@pytest.mark.parametrize("variant", ["votes", "memory-wrap", "standard"])
def test_what_is_refused_is_refused_before_the_training_and_changes_nothing(images, variant):
    model, reports = make(variant), []
    rule = Decision(1, 0.4, 9, ClassMeasures(model.class_names[1], 5, 5, 6), target_recall=1.0)
    model.decision = rule
    features = torch.zeros(60, model.features)
    for words, message in (
        ({"validation": (images.images, [7] * 60)}, "labels must be in 0 to 2"),
        ({"validation": (images.images[:, :, :4], images.labels)}, "got shape"),
        (
            {"validation": images, "validation_features": features},
            "^validation_features are those of a frozen encoder, and this plan trains it; leave",
        ),
        ({"validation_features": features, "plan": FROZEN}, "^validation_features must be"),
        (
            {"validation": images, "validation_features": features[:59], "plan": FROZEN},
            "^validation_features must be",
        ),
    ):
        given = {"recipe": RECIPE, "plan": PLAN, "on_epoch": reports.append, **words}
        with pytest.raises(ValueError, match=message):
            fit(model, images, **given)
    assert (reports, model.decision) == ([], rule)
    given = {"validation": images, "validation_features": features}
    fit(model, images, recipe=RECIPE, plan=FROZEN, on_epoch=reports.append, **given)
    assert (len(reports), model.decision) == (1, None)


def test_nothing_but_votes_is_left_and_they_are_right(images, trained):
    model, _ = trained
    assert list(model.state_dict()) == list(make().state_dict())
    assert not model.training
    assert not model.head.training
    found = whence.evaluate(copy.deepcopy(model).remember(images), images, memory_size=9)
    assert found.whole_memory > 0.9
    assert found.reliance.changed_share == 1
