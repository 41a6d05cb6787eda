"""How many features an encoder gives is found by asking it, without a trace."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.networks import SHAPE, Small, plain, snapshot
from whence.encoders.count_features import count_features


class Careless(nn.Module):
    """Draws random numbers in eval mode, and fails if told to."""

    def __init__(self, inner, fails=False):
        super().__init__()
        self.inner, self.fails = inner, fails

    def forward(self, images):
        torch.rand(3)
        assert not torch.is_grad_enabled(), "a probe needs no graph"
        features = self.inner(images)
        if self.fails:
            raise IndexError("out of range")
        return features


@pytest.mark.parametrize("fails", [False, True])
def test_probe_leaves_no_trace(fails):
    encoder = Careless(Small(), fails)
    encoder.inner.body[2].eval()  # a mode of its own, which must survive
    modes = [module.training for module in encoder.modules()]
    before, state = snapshot(encoder), torch.get_rng_state()
    if fails:
        with pytest.raises(
            ValueError, match=r"image_shape \(3, 32, 40\), it raised IndexError: out"
        ):
            count_features(encoder, SHAPE)
    else:
        assert count_features(encoder, SHAPE) == 10
    assert [module.training for module in encoder.modules()] == modes
    assert modes.count(False) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


def test_probe_follows_the_encoder_type():
    assert count_features(plain().double(), SHAPE) == 5
    assert count_features(plain().bfloat16(), SHAPE) == 5
    assert count_features(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), SHAPE) == 12


class Casts(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        return self.inner(images.to(torch.bfloat16))


def test_an_encoder_of_another_precision_takes_float32_or_is_refused():
    """Found when it is wrapped, not in the middle of a training."""
    for found in (plain().double(), plain().bfloat16(), plain().half()):
        name = next(found.parameters()).dtype
        with pytest.raises(ValueError, match=rf"its parameters are {name}; call encoder.float\(\)"):
            whence.wrap(found, 3, image_shape=SHAPE)
    casts = whence.wrap(Casts(plain().bfloat16()), 3, image_shape=SHAPE, variant="votes").eval()
    images = torch.rand(4, *SHAPE)
    casts.remember(images, [0, 1, 2, 0])
    answers = whence.predict(casts, images)
    assert [float(one.probabilities.sum()) for one in answers] == pytest.approx([1.0] * 4)
    plain_one = whence.wrap(plain().double().float(), 3, image_shape=SHAPE)
    assert plain_one.double().eval().remember(images).bank.features.dtype == torch.float64


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, images):
        return self.make(images)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda x: (x, x), "got a tuple; wrap it in a module that returns one tensor"),
        (lambda x: x, r"got shape \(2, 3, 32, 40\) for 2 images; add a pooling layer and nn.Flat"),
        (lambda x: x.mean(0).flatten(1), r"got shape \(3, 1280\) for 2 images"),
        (lambda x: x[:, :0, 0, 0], r"got shape \(2, 0\)"),
        (lambda x: x.flatten(1).long(), "as floating point numbers, got torch.int64"),
        (lambda x: x.view(7, 7), r"image_shape \(3, 32, 40\), it raised RuntimeError: shape"),
    ],
)
def test_probe_says_what_came(make, message):
    with pytest.raises(ValueError, match=message):
        count_features(Returns(make), SHAPE)
