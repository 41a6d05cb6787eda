"""The recipe of a training that names none: the command's, in Python as well."""

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import whence
from whence.encoders import ENCODERS
from whence.records.images import ImageSet
from whence.runs.recipe_and_plan import choose_recipe
from whence.runs.settings import Settings
from whence.training.default_recipe import fill_recipe
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import RECIPES, Recipe

SIDE = 8
PLAN = Plan(epochs=1, memory_size=6)
FROZEN = replace(PLAN, freeze_encoder=True)


@pytest.fixture(scope="module")
def images():
    """Two classes that are each other's mirror image: bright on the left, and on the right."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    pixels = torch.randint(0, 40, (40, 1, SIDE, SIDE), generator=generator)
    pixels[labels == 0, :, :, : SIDE // 2] += 150
    pixels[labels == 1, :, :, SIDE // 2 :] += 150
    return ImageSet(pixels.to(torch.uint8), labels, ("left", "right"))


@pytest.fixture(scope="module")
def upright(images):
    """The same on their sides: bright above, and below."""
    return replace(images, images=images.images.transpose(2, 3).contiguous())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), path)
    return str(path)


def make(encoder="small_cnn", **options):
    torch.manual_seed(0)
    return whence.wrap(encoder, ["left", "right"], image_shape=(1, SIDE, SIDE), **options)


def assert_trained_alike(model, images, plan, recipe):
    """Trained without a recipe it becomes what it becomes with this one."""
    told = copy.deepcopy(model)
    fit(model, images, plan=plan)
    fit(told, images, plan=plan, recipe=recipe)
    for name, tensor in model.state_dict().items():
        assert torch.equal(told.state_dict()[name], tensor), name


def command(images, **settings):
    """The recipe that the command takes for a folder of these images."""
    may = fill_recipe("default", images, frozen=False).augmentation == "shift_flip"
    return choose_recipe(Settings(data="photos", **settings), mirror=may)


def test_an_encoder_that_learns_from_the_start(images, upright):
    for some, augmentation in ((images, "shift"), (upright, "shift_flip")):
        recipe = command(some)
        assert recipe == replace(RECIPES["default"], augmentation=augmentation)
        assert_trained_alike(make(), some, PLAN, recipe)
    assert_trained_alike(make(variant="votes"), images, PLAN, command(images, variant="votes"))


def test_a_module_of_the_user(images):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIDE * SIDE, 6))
    model = make(encoder, drop_classifier=False, variant="standard")
    assert_trained_alike(model, images, PLAN, command(images, variant="standard"))


def test_vit(images):
    assert command(images, encoder="vit") == RECIPES["vit"]
    assert_trained_alike(make("vit", variant="standard"), images, PLAN, RECIPES["vit"])


def test_an_encoder_with_weights(images, weights):
    recipe = command(images, weights=weights, encoder="small_cnn")
    assert recipe == RECIPES["finetune"]
    model = make(weights=weights)
    assert model.pretrained
    assert not make().pretrained
    assert_trained_alike(model, images, PLAN, recipe)


@pytest.mark.parametrize("variant", ["memory-wrap", "votes"])
def test_a_frozen_encoder(images, weights, variant):
    given = {"weights": weights, "encoder": "small_cnn", "freeze_encoder": True}
    recipe = command(images, variant=variant, **given)
    assert recipe == RECIPES["at-once" if variant == "votes" else "finetune"]
    assert_trained_alike(make(variant=variant), images, FROZEN, recipe)


def test_a_recipe_by_name(images):
    told, named = make(), make()
    fit(told, images, plan=PLAN, recipe=Recipe())
    fit(named, images, plan=PLAN, recipe="paper")
    assert torch.equal(told.encoder[0].weight, named.encoder[0].weight)
    frozen = make(variant="standard")
    fit(frozen, images, plan=FROZEN, recipe="default")  # whose augmentation is left out
    with pytest.raises(ValueError, match=r"Unknown recipe 'best'. Choose from: default, paper, vi"):
        fit(named, images, plan=PLAN, recipe="best")
