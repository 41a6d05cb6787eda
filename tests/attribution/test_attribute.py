"""One door for every model, target and method, and what it refuses."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import (
    EXACT,
    SHAPE,
    Net,
    as_pixels,
    check_against,
    draw,
    explain_slowly,
    make,
)
from whence.records.relevance import Relevance


def take(one, other=None):
    """Read the same logits for every image."""
    if other is None:
        return lambda logits: lambda some: some[:, one]
    return lambda logits: lambda some: some[:, one] - some[:, other]


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory", "standard"])
@pytest.mark.parametrize(
    ("target", "choose", "name"),
    [
        (2, take(2), "logit of 2"),
        ("1", take(1), "logit of 1"),
        (np.int64(3), take(3), "logit of 3"),
        (torch.tensor(3), take(3), "logit of 3"),
        ((0, "3"), take(0, 3), "logit of 0 minus logit of 3"),
        (
            lambda logits: logits.softmax(1)[:, 1],
            lambda _: lambda some: some.softmax(1)[:, 1],
            "function of the logits",
        ),
    ],
)
def test_any_target_equals_the_slow_way(images, stored, variant, target, choose, name):
    model = make(variant)
    model = model.remember(stored) if model.has_memory else model
    found = whence.attribute(model, images, target=target, steps=3, batch_size=2)
    slow = explain_slowly(model, images, steps=3, baseline="white", moved="evidence", choose=choose)
    check_against(slow, found, **EXACT)
    assert found.target == (name,) * 3


@pytest.mark.parametrize("of", [list, np.array, torch.tensor])
def test_every_image_may_have_its_own_class(images, stored, of):
    model = make().remember(stored)
    found = whence.attribute(model, images, target=of([2, 0, 3]), steps=3, batch_size=2)
    for row, chosen in enumerate((2, 0, 3)):
        alone = whence.attribute(model, images[[row]], target=chosen, steps=3)
        assert_close(found.images[[row]], alone.images, **EXACT)
        assert_close(found.evidence[row], alone.evidence[0], **EXACT)
        assert found.target[row] == alone.target[0] == f"logit of {chosen}"


def test_a_pair_may_hold_the_predicted_class_and_a_class_per_image(images, stored):
    model = make().remember(stored)
    predicted = model(images).argmax(1).tolist()
    others = [(one + 1) % 4 for one in predicted]
    found = whence.attribute(model, images, "gradient", (None, others))
    for row in range(3):
        both = [
            whence.attribute(model, images[[row]], "gradient", one[row])
            for one in (predicted, others)
        ]
        assert_close(found.images[[row]], both[0].images - both[1].images, **EXACT)
    assert found.target[0] == f"logit of {predicted[0]} minus logit of {others[0]}"


def test_any_network_is_explained_in_its_own_units(rng):
    torch.manual_seed(1)
    network = Net().double().eval()
    images = torch.randn(4, *SHAPE, generator=rng, dtype=torch.float64)
    nothing = torch.full(SHAPE, -0.5, dtype=torch.float64)
    found = whence.attribute(
        network, images, target=(4, None), baseline=nothing, steps=300, batch_size=32
    )
    value = network(images)
    start = network(nothing[None])
    top = value.argmax(1)
    assert_close(found.score, value[:, 4] - value.max(1).values)
    assert_close(found.start, start[0, 4] - start[0, top])
    assert_close(found.images.sum((1, 2, 3)), found.score - found.start, rtol=1e-2, atol=1e-3)
    assert found.rest is None
    assert [tuple(one.shape) for one in found.evidence] == [(0, *SHAPE)] * 4
    assert list(found.ledger) == ["image", "unexplained"]


def test_the_result_is_a_record(images, stored):
    found = whence.attribute(make().remember(stored), images, steps=2, memory="all")
    assert isinstance(found, Relevance)
    counts = [len(one) for one in found.evidence]
    expected = f"Relevance(integrated_gradients, images (3, 2, 8, 7), evidence images {counts})"
    assert repr(found) == expected
    assert found.options == {"steps": 2, "baseline": "white", "memory": "all"}
    assert found.sentence == (
        "A pixel's number is its share of the change of the score on the way from white images to "
        "the images as they are (2 steps), in units of the score."
    )
    one = found.take(1)
    assert len(one) == 1
    assert_close(one.images, found.images[1:2])
    assert_close(one.evidence[0], found.evidence[1])
    for name in found.ledger:
        assert_close(one.ledger[name], found.ledger[name][1:2])
    assert_close(one.rest, found.rest[1:2])
    assert_close(
        torch.stack([one.score, one.start]), torch.stack([found.score, found.start])[:, 1:2]
    )
    assert one.target == found.target[1:2]
    plain = whence.attribute(make("standard"), images, "gradient")
    assert plain.ledger is None
    assert plain.take(2).ledger is None
    assert_close(plain.start, torch.zeros(3, dtype=torch.float64))


def test_a_baseline_may_be_an_image(images, stored):
    model = make().remember(stored)
    white = torch.ones(SHAPE)
    found = whence.attribute(model, images, steps=3, baseline=white)
    expected = whence.attribute(model, images, steps=3)
    assert_close(found.images, expected.images, **EXACT)
    assert_close(found.start, expected.start, **EXACT)
    assert "from the image that was given to" in found.sentence
    grey = whence.attribute(model, images, steps=3, baseline=white / 2)
    assert not torch.allclose(grey.images, expected.images)


class Broken(nn.Module):
    def forward(self, images):
        return images.sum((2, 3)) * torch.nan


class Wordy(nn.Module):
    def forward(self, images):
        return {"logits": images.sum((2, 3))}


class Maps(nn.Module):
    def forward(self, images):
        return images


class Root(nn.Module):
    """Its slope is infinite at pixels of 0."""

    def forward(self, images):
        return images.sqrt().sum((2, 3))


FLOATS = torch.rand(2, *SHAPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "saliency"},
            "Unknown attribution method 'saliency'. Choose from: integrated_gradients, path_",
        ),
        ({"step": 3}, "Unknown option 'step' of integrated_gradients. Choose from: steps, base"),
        ({"method": "gradient", "steps": 3}, "Unknown option 'steps' of gradient. It has none."),
        ({"method": "random"}, "random needs the option generator, which was not given."),
        ({"baseline": "grey"}, "Unknown baseline 'grey'. Choose from: white, black, mean, blur."),
        (
            {"baseline": torch.ones(SHAPE) * 2},
            "baseline must be in [0, 1], as pixels are, got numbers from 2 to 2.",
        ),
        ({"baseline": torch.ones(1, 8, 7)}, "baseline must be (C, H, W) with C=2, got shape (1, 8"),
        ({"memory": "some"}, "Unknown memory 'some'. Choose from: evidence, all."),
        ({"steps": 0}, "steps must be at least 1, got 0."),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0."),
        ({"images": torch.zeros(0, *SHAPE)}, "images must hold at least one image, got none."),
        ({"images": torch.zeros(1, 2, 8, 6)}, "images must be (B, 2, 8, 7),"),
        ({"images": torch.full((1, *SHAPE), 2.0)}, "floats in [0, 1], got floats from 2 to 2"),
        ({"target": 4}, "target must be in 0 to 3, got 4."),
        ({"target": -1}, "target must be in 0 to 3, got -1."),
        ({"target": "cat"}, "Unknown target 'cat'. Choose from: 0, 1, 2, 3."),
        ({"target": [1, 2]}, "target must have one class per image (3), got 2; a pair (a, b) is a"),
        ({"target": torch.ones(3, 1)}, "target must be a class or (3,) classes, got shape (3, 1)."),
        (
            {"target": (1, 2, 3)},
            "target must be a pair (a, b) if it is a tuple; give one class per",
        ),
        ({"target": (1, 1)}, "target must be a pair of two classes, got '1' twice."),
        ({"target": lambda logits: logits}, "target must give one number per image, (3,), from"),
        ({"target": lambda logits: 1}, "target must give one number per image, (3,), from logits"),
        (
            {"target": lambda logits: logits[:, 0] / 0},
            "target must give finite scores, that of image 0",
        ),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(images, stored, options, message):
    model = make().remember(stored)
    asked = {"images": images} | options
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        whence.attribute(model, **asked)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "asked", "error", "message"),
    [
        (nn.Flatten().eval(), FLOATS[0], ValueError, "images must be (B, C, H, W), got shape (2,"),
        (
            nn.Flatten().eval(),
            FLOATS.byte(),
            TypeError,
            "images must be floats, as the model takes",
        ),
        (
            Net().eval(),
            torch.where(torch.arange(2)[:, None, None, None] == 1, math.nan, FLOATS),
            ValueError,
            "images must be finite numbers, image 1 has NaN or infinity.",
        ),
        (Net().eval(), [FLOATS], TypeError, "images must be a tensor (B, C, H, W) as the model"),
        (Broken().eval(), FLOATS, ValueError, "logits must be finite numbers, those of image 0"),
        (Wordy().eval(), FLOATS, ValueError, "model must map 2 images (B, C, H, W) to logits (B,"),
        (Maps().eval(), FLOATS, ValueError, "to logits (B, K), got (2, 2, 8, 7)."),
        (
            lambda images: images,
            FLOATS,
            TypeError,
            "model must be an nn.Module, got function.",
        ),
        (
            Net().eval(),
            FLOATS[:, :1],
            ValueError,
            "images must be what the model takes, it refuses (2, 1, 8, 7) of torch.float32: Given",
        ),
        (Net().eval(), FLOATS - 1, ValueError, "baseline 'white' is a colour of pixels in [0, 1],"),
    ],
)
def test_what_no_network_can_be_asked(model, asked, error, message):
    with pytest.raises(error, match=re.escape(message)):
        whence.attribute(model, asked)


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "guided_backprop"])
def test_an_infinite_slope_is_told_with_its_image_and_needs_no_slope_to_be_explained(method):
    asked = torch.where(torch.arange(2)[:, None, None, None] == 1, 0.0, FLOATS)
    options = {"generator": torch.Generator(), "noise": 1e-30} if method == "smoothgrad" else {}
    with pytest.raises(ValueError, match=f"{method} must find finite numbers, those of image 1 h"):
        whence.attribute(Root().eval(), asked, method, 0, **options)
    assert bool(whence.attribute(Root().eval(), asked, "occlusion", 0).images.isfinite().all())


def test_an_infinite_slope_at_an_evidence_image_is_told(stored):
    encoder = nn.Sequential(Root(), nn.Linear(2, 5))
    model = whence.wrap(encoder, 2, image_shape=SHAPE, mean=[0.0, 0.0], std=[1.0, 1.0]).eval()
    model.remember(stored[:4].clamp(min=1) * (torch.arange(8) > 0)[:, None])  # a row of zeros
    with pytest.raises(ValueError, match=r"those of an evidence image have NaN or infinity: the"):
        whence.attribute(model, stored[4:5].clamp(min=1), "gradient", 0)


def test_a_target_of_no_kind_is_refused(images):
    for target in (True, 1.5, {"class": 1}, [1.0, 2.0, 3.0]):
        with pytest.raises(TypeError, match="target must be None, a class, a list of classes"):
            whence.attribute(make("standard"), images, target=target)


def test_a_long_name_is_cut(images):
    for option in ({"target": "x" * 1000}, {"x" * 1000: 1}):
        with pytest.raises(ValueError, match=r"Unknown (target|option) 'xxx") as refusal:
            whence.attribute(make("standard"), images, **option)
        assert len(str(refusal.value)) < 400


def test_a_score_that_is_infinite_names_its_image(images):
    def target(logits):
        return torch.where(torch.arange(len(logits)) == 1, math.inf, logits[:, 0])

    with pytest.raises(ValueError, match="target must give finite scores, that of image 1 is inf"):
        whence.attribute(make("standard"), images, target=target)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", ["integrated_gradients", "gradient"])
def test_a_model_on_another_device_than_the_images(images, stored, method):
    expected = whence.attribute(make().remember(stored), images, method)
    found = whence.attribute(make().cuda().remember(stored), images, method)
    assert found.images.device.type == "cpu"
    assert_close(found.images, expected.images, rtol=0, atol=1e-8)
    network = Net().double().eval()
    expected = whence.attribute(network, as_pixels(images), method)
    found = whence.attribute(network.cuda(), as_pixels(images), method)
    assert_close(found.images, expected.images, rtol=0, atol=1e-8)


def test_images_are_drawn_apart(rng):
    """Else tests that compare rows would compare equals."""
    assert len(draw(rng, 3).flatten(1).unique(dim=0)) == 3
