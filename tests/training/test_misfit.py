"""A checkpoint that is not of this training, or damaged by hand, is refused and changes nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.state import OptimizerState, names_of_state

SHAPE = (1, 8, 8)
PLAN = Plan(epochs=2, memory_size=9)
SGD = Recipe(learning_rate=0.05, batch_size=7)
RECIPES = {
    "sgd": SGD,
    "adam": replace(SGD, optimizer="adam"),
    "no momentum": replace(SGD, momentum=0.0),
}


def make():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, image_shape=SHAPE)


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (22, *SHAPE), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.arange(22) % 3, ("a", "b", "c"))


@pytest.fixture(scope="module")
def second(images):
    """The checkpoint after the second of three steps in an epoch, by the name of the recipe."""

    def train(recipe):
        kept = []
        fit(make(), images, recipe=recipe, plan=PLAN, on_step=lambda copy: kept.append(copy()))
        return kept[1]

    return {name: train(recipe) for name, recipe in RECIPES.items()}


def refuse(images, recipe, checkpoint, message):
    """Go on from a checkpoint that does not fit, and see that the model stays as it was."""
    model = make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"The checkpoint must hold {message}"):
        fit(model, images, recipe=RECIPES[recipe], plan=PLAN, resume=checkpoint)
    assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize(
    ("recipe", "key", "value", "message"),
    [
        ("sgd", "model.encoder.0.weight", torch.zeros(5, 1, 3, 3), r"encoder.0.weight \(32, 1, 3, 3\) float32, got"),
        ("sgd", "model.encoder.0.weight", torch.zeros(32, 1, 3, 3).double(), "encoder.* got .* float64"),
        ("sgd", "model.encoder.0.weight", None, "encoder.0.weight .* got nothing"),
        ("sgd", "optimizer.0.momentum_buffer", torch.zeros(32, 1, 3, 2), r"momentum_buffer \(32, 1, 3, 3\), got"),
        ("sgd", "optimizer.0.momentum_buffer", torch.zeros(()), r"momentum_buffer \(32, 1, 3, 3\), got \(\) float32"),
        ("sgd", "optimizer.999.momentum_buffer", torch.zeros(1), "momentum_buffer of .* parameter 999"),
        ("sgd", "optimizer.0.exp_avg", torch.zeros(32, 1, 3, 3), "momentum_buffer of parameter 0, got exp_avg, momentum"),
        ("no momentum", "optimizer.0.momentum_buffer", torch.zeros(32, 1, 3, 3), "nothing of parameter 0, got"),
        ("adam", "optimizer.2.step", None, "exp_avg, exp_avg_sq, step of parameter 2, got exp_avg, exp_avg_sq"),
        ("adam", "optimizer.0.exp_avg", None, "exp_avg, exp_avg_sq, step of parameter 0, got exp_avg_sq, step"),
        ("adam", "optimizer.0.step", torch.zeros(32, 1, 3, 3), r"step \(\), got \(32, 1, 3, 3\) float32"),
        ("adam", "optimizer.0.step", torch.zeros((), dtype=torch.int64), r"step \(\), got \(\) int64"),
        ("adam", "optimizer.0.exp_avg", torch.zeros(32, 1, 3, 3).long(), r"exp_avg .* got .* int64"),
        ("sgd", "random.draws", torch.zeros(3, dtype=torch.uint8), "whole random states"),
        ("sgd", "random.draws", torch.zeros(5056), "whole random states"),
        ("sgd", "random.draws", None, "whole random states"),
        ("sgd", "random.global", torch.zeros(5056, dtype=torch.uint8), "whole random states"),
        ("sgd", "random.global", None, "whole random states"),
        ("sgd", "losses", torch.zeros(3), "2 losses"),
        ("sgd", "losses", torch.zeros(2, dtype=torch.int64), "2 losses"),
        ("sgd", "hits", torch.zeros(2, dtype=torch.int64), "2 hits"),
        ("sgd", "hits", None, "2 hits"),
        ("sgd", "order", torch.zeros(22, dtype=torch.int64), "the order of 22 images"),
        ("sgd", "order", torch.zeros(2, 2, dtype=torch.int64), "the order of 22 images"),
        ("sgd", "order", torch.zeros((), dtype=torch.int64), "the order of 22 images"),
        ("sgd", "order", torch.arange(22.0), "the order of 22 images"),
        ("sgd", "order", None, "the order of 22 images"),
        ("sgd", "step", 4, "a step and its place in 3, got 4 and 2"),
        ("sgd", "step", "2", "a step and its place"),
        ("sgd", "step", None, "a step and its place"),
        ("sgd", "step", 8, "a step in 1 to 6, got 8"),
        ("sgd", "place", 17, "a step and its place"),
        ("sgd", "place", 2.0, "a step and its place in 3, got 2 and 2.0"),
    ],
)  # fmt: skip
def test_a_part_that_is_missing_or_another_is_named(images, second, recipe, key, value, message):
    tensors, numbers = dict(second[recipe].tensors), dict(second[recipe].numbers)
    part = numbers if key in ("step", "place") else tensors
    part[key] = value
    if value is None:
        del part[key]
    refuse(images, recipe, Checkpoint(tensors, numbers), message)


@pytest.mark.parametrize(("recipe", "other"), [("sgd", "adam"), ("adam", "sgd")])
def test_a_checkpoint_of_another_optimiser(images, second, recipe, other):
    refuse(images, recipe, second[other], ".* of parameter 0, got ")


def test_all_names_of_an_optimisers_state_are_known():
    """Each optimiser of a recipe has them after a step, and no other is taken for one of ours."""
    for optimizer in (
        torch.optim.SGD([nn.Parameter(torch.ones(2))], momentum=0.9),
        torch.optim.SGD([nn.Parameter(torch.ones(2))]),
        torch.optim.Adam([nn.Parameter(torch.ones(2))]),
        torch.optim.AdamW([nn.Parameter(torch.ones(2))]),
    ):
        (parameter,) = OptimizerState(optimizer).learned
        parameter.square().sum().backward()
        optimizer.step()
        found = {name.split(".")[2] for name in OptimizerState(optimizer).pack().tensors}
        assert found == set(names_of_state(optimizer))
    with pytest.raises(TypeError, match="optimizer must be SGD, Adam or AdamW, got Adagrad"):
        names_of_state(torch.optim.Adagrad([nn.Parameter(torch.ones(2))]))
