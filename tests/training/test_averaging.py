"""Averaged weights against a plain second computation, and where the mean is seen."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.slow_mean import slow_mean
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.averaging import WeightAverage, choose_average
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import RECIPES, Recipe

SHAPE = (1, 8, 8)


@pytest.fixture
def images(rng):
    labels = torch.arange(20) % 2
    noise = torch.randint(0, 60, (20, *SHAPE), generator=rng)
    return ImageSet((noise + 90 * labels[:, None, None, None]).to(torch.uint8), labels, ("a", "b"))


def make():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 2, variant="standard", image_shape=SHAPE)


@pytest.mark.parametrize(("decay", "steps"), [(0.5, 1), (0.5, 7), (0.99, 40), (0.9, 200)])
def test_the_mean_by_hand(rng, decay, steps):
    module = nn.BatchNorm1d(3).double()
    average = WeightAverage(module, decay)
    seen = {name: [] for name in ("weight", "bias", "running_mean", "running_var")}
    for _ in range(steps):
        with torch.no_grad():
            for name, values in seen.items():
                value = torch.randn(3, dtype=torch.float64, generator=rng)
                getattr(module, name).copy_(value)
                values.append(value)
            module.num_batches_tracked += 1
        average.update()
    last = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with average.lent():
        for name, values in seen.items():
            assert_close(getattr(module, name).data, slow_mean(values, decay))
        assert int(module.num_batches_tracked) == steps
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in last.items())
    average.give()
    assert_close(module.weight.data, slow_mean(seen["weight"], decay))


def test_lent_numbers_come_back_after_an_error():
    module = nn.Linear(2, 1)
    average = WeightAverage(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(3)
    with pytest.raises(RuntimeError, match="stopped"), average.lent():
        raise RuntimeError("stopped")
    assert torch.equal(module.weight, torch.full((1, 2), 3.0))


def test_a_training_ends_with_the_mean_of_its_steps(images):
    """The weights of each step are those of the same training without a mean."""
    recipe = Recipe(learning_rate=0.05, batch_size=8)
    plain, averaged, steps, epochs = make(), make(), [], []

    def keep(_):
        steps.append({name: one.clone() for name, one in plain.state_dict().items()})

    fit(plain, images, recipe=recipe, plan=Plan(epochs=3), on_step=keep)

    def look(_):
        epochs.append({name: one.clone() for name, one in averaged.state_dict().items()})

    recipe = Recipe(learning_rate=0.05, batch_size=8, weight_averaging=0.6)
    fit(averaged, images, recipe=recipe, plan=Plan(epochs=3), on_epoch=look)
    assert len(steps) == 6  # two batches of 8 in 20 images, three times
    for name, found in averaged.state_dict().items():
        if found.is_floating_point():
            values = [step[name] for step in steps]
            assert_close(found, slow_mean(values, 0.6))
            assert_close(epochs[0][name], slow_mean(values[:2], 0.6))
            assert torch.equal(epochs[-1][name], found)
        else:
            assert torch.equal(found, steps[-1][name])
    assert not torch.allclose(averaged.encoder.state_dict()[WEIGHT], steps[-1]["encoder." + WEIGHT])


WEIGHT = next(name for name, _ in make().encoder.named_parameters())


def test_no_recipe_averages():
    assert not any(recipe.weight_averaging for recipe in RECIPES.values())
    assert choose_average(nn.Linear(2, 1), 0.0) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"averaged_steps": 0}, "averaged_steps from 1 on, got 0"),
        ({"average.weight": torch.zeros(2)}, "weight (1, 2) float32, got (2,) float32"),
        ({"average.bias": None}, "bias (1,) float32, got nothing"),
    ],
)
def test_checkpoints_of_other_trainings_are_refused(change, message):
    average = WeightAverage(nn.Linear(2, 1), 0.5)
    average.update()
    packed = average.pack()
    assert average.find_misfit(packed) is None
    tensors = {name: change.get(name, one) for name, one in packed.tensors.items()}
    tensors = {name: one for name, one in tensors.items() if one is not None}
    numbers = {name: change.get(name, one) for name, one in packed.numbers.items()}
    found = average.find_misfit(Checkpoint(tensors, numbers))
    assert found == message
