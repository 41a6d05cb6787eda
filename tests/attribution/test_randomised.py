"""Copies of a model with randomised layers, and a method that is asked again."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, as_pixels, make, same_state, state_of
from whence.attribution.asked_method import AskedMethod, find_missing_option
from whence.attribution.randomised import randomise


def tensors(model):
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.numel() > 1}


def test_layers_are_shuffled_from_the_top_and_the_model_stays_as_it_is():
    torch.manual_seed(0)
    model = Net().eval()
    model.layers[1].running_mean.normal_()
    before = state_of(model)
    copies = list(randomise(model, seed=3))
    same_state(before, state_of(model))
    assert [name for name, _ in copies] == ["layers.7", "layers.3", "layers.1", "layers.0"]
    order = ["layers.7", "layers.3", "layers.1", "layers.0"]
    own = tensors(model)
    for end, (_, copied) in enumerate(copies, 1):
        for name, tensor in tensors(copied).items():
            shuffled = name.rpartition(".")[0] in order[:end]
            constant = len(own[name].unique()) == 1
            assert torch.equal(tensor, own[name]) != (shuffled and not constant), name
            assert_close(tensor.flatten().sort().values, own[name].flatten().sort().values)
    last = tensors(copies[-1][1])
    for name, tensor in tensors(copies[0][1]).items():
        if name.startswith("layers.7"):
            assert torch.equal(tensor, last[name])  # a layer is shuffled alike in all copies
    other = tensors([*randomise(model, seed=4)][-1][1])
    assert not torch.equal(last["layers.0.weight"], other["layers.0.weight"])


def test_vectors_of_a_layer_move_together():
    layer = nn.BatchNorm2d(6)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0))
        layer.running_var.copy_(10 + torch.arange(6.0))
    ((_, copied),) = randomise(nn.Sequential(layer).eval(), seed=1)
    assert not torch.equal(copied[0].weight, layer.weight)
    assert_close(copied[0].running_var, 10 + copied[0].weight)


def test_there_are_as_many_stages_as_asked_for(stored):
    model = make().remember(stored)
    assert len(list(randomise(model, seed=0, stages=2))) == 2
    assert [*randomise(model, seed=0, stages=2)][-1][0].startswith("encoder.layers.0")
    with pytest.raises(ValueError, match=r"model must have at least one layer with parameters"):
        list(randomise(nn.Sequential(nn.ReLU()).eval(), seed=0))


def test_a_copy_encodes_the_memory_again(images, stored):
    model = make().remember(stored, indices=range(7, 0, -1))
    for _, copied in randomise(model, seed=0):
        bank = copied.checked_bank()
        assert_close(bank.features, copied.encode(stored).detach(), rtol=0, atol=1e-9)
        assert torch.equal(bank.indices, model.bank.indices)
        assert not torch.equal(copied(images), model(images))
    assert_close(copied.mean, model.mean)


def test_a_method_is_asked_again_with_the_same_draws(images, stored):
    model = make().remember(stored)
    classes, rows = torch.tensor([1, 3, 0]), torch.arange(3)
    asked = AskedMethod(model, "smoothgrad", {"samples": 2}, classes, 5, 128)
    one, two = asked(as_pixels(images), rows), asked(as_pixels(images), rows)
    assert torch.equal(one, two)
    generator = torch.Generator().manual_seed(5)
    expected = whence.attribute(
        model, images, "smoothgrad", classes, samples=2, generator=generator
    )
    assert_close(one, expected.images.sum(1))
    other = AskedMethod(model, "smoothgrad", {"samples": 2}, classes, 6, 128)
    assert not torch.equal(other(as_pixels(images), rows), one)
    turned = asked.toward((classes + 1) % 4)
    assert turned.find(as_pixels(images), rows, evidence=True).target[0] == expected.target[
        0
    ].replace("1", "2")


def test_a_cascade_explains_the_copies(images):
    model = make("standard")
    copies = tuple(randomise(model, seed=0))
    asked = AskedMethod(model, "gradient", {}, torch.tensor([1, 3, 0]), 0, 128, copies)
    found = [(name, one(as_pixels(images), torch.arange(3))) for name, one in asked.cascade()]
    assert [name for name, _ in found] == [name for name, _ in copies]
    slopes = whence.attribute(copies[1][1], images, "gradient", [1, 3, 0]).images.sum(1)
    assert_close(found[1][1], slopes)


def test_options_that_nothing_fills_are_named():
    assert find_missing_option("path_integrated_gradients") == "path"
    assert find_missing_option("random") is None
    assert find_missing_option("integrated_gradients") is None
