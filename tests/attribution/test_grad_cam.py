"""Grad-CAM: against captum, on evidence, and while another thread answers."""

import threading

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, Quadratic, as_pixels, make, state_of
from whence.attribution import METHODS


def captum_map(network, layer, images, target):
    found = LayerGradCam(network, layer).attribute(images, target, relu_attributions=True)
    found = LayerAttribution.interpolate(found, images.shape[2:], "bilinear")
    return found.detach().expand_as(images) / images.shape[1]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_it_is_that_of_captum(layer):
    torch.manual_seed(0)
    network, images = Net().double().eval(), torch.rand(3, 2, 8, 7, dtype=torch.float64)
    found = whence.attribute(network, images, "grad_cam", 3, layer=f"layers.{layer}", batch_size=2)
    expected = captum_map(network, network.layers[layer], images, 3)
    assert len(expected.unique()) > 9
    assert_close(found.images, expected, rtol=0, atol=1e-10)
    if layer == 2:  # the last before all is one place
        last = whence.attribute(network, images, "grad_cam", 3)
        assert_close(last.images, expected, rtol=0, atol=1e-10)
        assert "the maps of layer layers.2 there" in last.sentence


def test_evidence_is_looked_at_one_by_one(images, stored):
    model = make().remember(stored)
    found = whence.attribute(model, images, "grad_cam")
    read = model.read(images)

    class Rest(nn.Module):  # all that follows the pixels of one stored image
        def __init__(self, row, place):
            super().__init__()
            self.encoder, self.place = model.encoder, place
            self.query = model.encode(images[[row]]).detach()

        def forward(self, pixels):
            key = model.head.embed(self.encoder((pixels - model.mean) / model.std))
            features = model.bank.features.clone()
            features[self.place] = key[0]
            return model.head(self.query, features).logits

    for row, evidence in enumerate(found.evidence):
        order = read.weights[row].argsort(descending=True).tolist()
        for place, one in list(zip(order, evidence, strict=False))[:2]:
            rest, pixels = Rest(row, place), as_pixels(stored)[place][None]
            target = int(read.logits[row].argmax())
            expected = captum_map(rest, model.encoder.layers[2], pixels, target)
            assert_close(one, expected[0], rtol=0, atol=1e-9)


class InPlace(nn.Module):
    """Its rectifier overwrites what the convolution gave out."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3)
        self.last = nn.Linear(3, 4)

    def forward(self, images):
        return self.last(nn.functional.relu(self.first(images), inplace=True).mean((2, 3)))


def test_what_a_layer_gave_out_is_not_overwritten():
    torch.manual_seed(0)
    network, images = InPlace().double().eval(), torch.rand(2, 2, 8, 7, dtype=torch.float64)
    found = whence.attribute(network, images, "grad_cam", 1)
    maps = network.first(images).detach().requires_grad_()
    network.last(maps.relu().mean((2, 3)))[:, 1].sum().backward()
    seen = (maps.grad.mean((2, 3), keepdim=True) * maps.detach()).sum(1, keepdim=True).relu()
    expected = nn.functional.interpolate(seen, (8, 7), mode="bilinear").expand(-1, 2, -1, -1) / 2
    assert float(expected.max()) > 0
    assert_close(found.images, expected, rtol=0, atol=1e-10)


class Meeting(nn.Module):
    """Its calls end when another thread has looked at the network and answered with it."""

    def __init__(self):
        super().__init__()
        self.network, self.look, self.seen = Net(), None, []

    def forward(self, images):
        found = self.network(images)
        if self.look is not None:
            other = threading.Thread(target=lambda: self.seen.append(self.look()))
            other.start()
            other.join()
        return found


def test_another_thread_answers_meanwhile_and_sees_no_hook():
    torch.manual_seed(0)
    network, images = Meeting().eval(), torch.rand(2, 2, 8, 7)
    before, parts = state_of(network), list(network.modules())
    wanted = network.network(1 - images)

    def look():
        return any(part._forward_hooks for part in parts), network.network(1 - images)

    network.look = look
    found = whence.attribute(network, images, "grad_cam", 1, layer="network.layers.2")
    assert len(network.seen) > 1
    assert not any(hooked for hooked, _ in network.seen)
    assert all(torch.equal(answer, wanted) for _, answer in network.seen)
    expected = whence.attribute(network.network, images, "grad_cam", 1)
    assert torch.equal(found.images, expected.images)
    assert state_of(network)[4] == before[4] == [[] for _ in network.modules()]


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.idle = nn.Linear(112, 3), nn.Conv2d(2, 2, 3)

    def forward(self, images):
        return self.last(images.flatten(1))


def test_what_has_no_maps_is_refused():
    flat, images = Flat().eval(), torch.rand(2, 2, 8, 7)
    for options, message in (
        ({}, r"grad_cam needs a layer that gives out maps .* the network has none"),
        ({"layer": "last"}, r"layer 'last' must give out maps \(n, c, h, w\), got shape \(2, 3\)"),
        ({"layer": "idle"}, r"layer 'idle' does not run when images are scored"),
        ({"layer": "first"}, r"Unknown layer 'first'. The network's last are: last, idle"),
    ):
        with pytest.raises(ValueError, match=message):
            whence.attribute(flat, images, "grad_cam", **options)
    formula = Quadratic()
    with pytest.raises(ValueError, match=r"needs a network with layers, .* plain function"):
        METHODS["grad_cam"](formula.score(), formula.images)
