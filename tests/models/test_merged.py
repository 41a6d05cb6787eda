"""Merged encoders against the encoders they were made from."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.encoders import ENCODERS
from whence.models.merged import Merged, merge
from whence.models.using import encode_all

MERGED = ("small_cnn", "mobilenet_v2", "efficientnet_b0", "resnet18", "shufflenet_v2")


def lively(encoder, seed=0):
    """Give every batch normalisation statistics and factors that matter."""
    generator = torch.Generator().manual_seed(seed)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.2, 0.2),
            ):
                tensor.uniform_(low, high, generator=generator)
    return encoder.eval()


SHAPE = (3, 32, 32)


def count_norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", MERGED)
def test_the_copy_computes_the_same(name):
    encoder = lively(ENCODERS[name](channels=3, image_size=32))
    before = copy.deepcopy(encoder.state_dict())
    network = merge(encoder, SHAPE)
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = encoder(images)
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
        assert count_norms(network) < norms
        assert_close(network(images), expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
    assert_close(encoder.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["small_cnn", "mobilenet_v2", "resnet18"])
def test_nothing_is_left_to_normalise(name):
    assert count_norms(merge(lively(ENCODERS[name](channels=3, image_size=32)), SHAPE)) == 0


class Net(nn.Module):
    """A convolution and a normalisation, joined as a test wants."""

    def __init__(self, path):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.path = path

    def forward(self, images):
        return self.path(self, images)


def twice(net, images):
    return net.second(net.first(images)) + net.second(net.first(images.flip(3)))


def also_elsewhere(net, images):
    found = net.first(images)
    return net.second(found) + found


def changed_between(net, images):
    return net.second(net.first(images).relu_())


@pytest.mark.parametrize("path", [twice, also_elsewhere, changed_between])
def test_what_would_compute_something_else_is_left_alone(path):
    assert merge(lively(Net(path)), SHAPE) is None
    untouched = Net(path).eval()  # statistics that hide the difference
    assert merge(untouched, SHAPE) is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_copy_has_the_precision_of_the_encoder(dtype):
    encoder = lively(ENCODERS["small_cnn"](channels=3, image_size=32)).to(dtype)
    assert {parameter.dtype for parameter in merge(encoder, SHAPE).parameters()} == {dtype}


@pytest.mark.parametrize("listen", ["register_forward_hook", "register_forward_pre_hook"])
def test_layers_with_hooks_are_left_alone(listen):
    net = lively(Net(lambda net, images: net.second(net.first(images))))
    assert Merged(net, SHAPE).network is not net
    handle = getattr(net.second, listen)(lambda *_: None)
    assert Merged(net, SHAPE).network is net
    handle.remove()
    assert Merged(net, SHAPE).network is not net


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_layer_that_is_watched_later_is_noticed(when):
    model = make_model()
    images = torch.rand(2, 3, 32, 32)
    if when == "after":
        encode_all(model, images)
    seen = []
    layer = next(m for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d))
    handle = layer.register_forward_hook(lambda *_: seen.append(1))
    encode_all(model, images)
    assert seen == [1]
    handle.remove()
    layer.forward = torch.zeros_like
    assert encode_all(model, images).std(0).max() == 0


def test_without_running_statistics_nothing_is_merged():
    net = Net(lambda net, images: net.second(net.first(images)))
    net.second = nn.BatchNorm2d(4, track_running_stats=False)
    assert merge(net.eval(), SHAPE) is None


def make_model():
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", 4)
    lively(model.encoder)
    return model.eval()


def test_answers_come_from_the_copy_and_training_from_the_encoder():
    model = make_model()
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    plain = model.encode(images)  # with gradients
    assert plain.requires_grad
    with torch.no_grad():
        merged = model.encode(images)
        assert model._network() is not model.encoder
        assert model._network() is model._network()  # made once
        model.train()
        assert model._network() is model.encoder
    assert_close(merged, plain.detach(), atol=1e-5, rtol=0)


def test_the_copy_follows_the_encoder():
    model = make_model()
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    first = encode_all(model, images)
    norm = next(m for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        norm.weight.mul_(2)
    second = encode_all(model, images)
    assert not torch.allclose(first, second)
    assert_close(second, model.encode(images).detach(), atol=1e-5, rtol=0)
    with torch.no_grad():
        norm.train()  # one layer alone, by hand
        assert model._network() is model.encoder
        norm.eval()
        assert model._network() is not model.encoder
        norm.eps = 1.0
        assert_close(encode_all(model, images), model.encoder(model.normalise(images)))


def test_dropout_that_is_switched_on_later_stays_random():
    model = whence.wrap("thesis_mnist", 10, image_shape=(1, 28, 28)).eval()
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(4))
    assert torch.equal(encode_all(model, images), encode_all(model, images))
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.train()
    with torch.no_grad():
        assert not torch.equal(model.encode(images), model.encode(images))


def test_everyone_who_listens_to_every_module_hears_the_encoder():
    model = make_model()
    images = torch.rand(2, 3, 32, 32)
    encode_all(model, images)
    seen = []
    listen = nn.modules.module.register_module_forward_hook
    handle = listen(lambda module, *_: seen.append(type(module)))
    encode_all(model, images)
    handle.remove()
    assert nn.BatchNorm2d in seen


def test_other_threads_are_not_disturbed():
    """Merging changes nothing that belongs to the process."""
    failures, done = [], threading.Event()
    layer = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def work():
        while not done.is_set():
            try:
                layer(torch.ones(1, 3))
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(3):
            encode_all(make_model(), torch.rand(1, 3, 32, 32))
    finally:
        done.set()
        thread.join()
    assert not failures


def test_encoders_of_a_user_are_left_alone():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    model = whence.wrap(net, 3).eval()
    with torch.no_grad():
        assert model._network() is model.encoder


def test_a_copied_model_makes_a_copy_of_its_own():
    model = make_model()
    images = torch.rand(2, 3, 32, 32)
    encode_all(model, images)
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.encoder.parameters()).mul_(3)
    assert not torch.allclose(encode_all(other, images), encode_all(model, images))
    assert set(other.state_dict()) == set(model.state_dict())


def test_the_layers_are_found_again_only_while_in_eval_mode():
    encoder = lively(ENCODERS["small_cnn"](channels=3, image_size=32))
    made = Merged(encoder, SHAPE)
    assert made.fits(encoder)
    encoder.train()
    assert not made.fits(encoder)
    assert Merged(encoder, SHAPE).network is encoder
