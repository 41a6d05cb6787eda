"""A method that is asked for its images alone gives the same numbers, and leaves evidence out."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import as_pixels, make
from tests.helpers.method_checks import give_options, models
from whence.attribution import METHODS
from whence.attribution.asked_method import AskedMethod
from whence.attribution.attribute import ask_method
from whence.attribution.method import find_method

SEPARABLE = [name for name in METHODS if find_method(name).separable]
WITH_EVIDENCE = sorted(set(METHODS) - {*SEPARABLE, "path_integrated_gradients", "cam"})


def ask(model, images, name, *, evidence):
    options = give_options(find_method(name), as_pixels(images))
    return ask_method(
        model, images, name, None, score=None, batch_size=4, options=options, evidence=evidence
    )


@pytest.mark.parametrize("name", SEPARABLE)
@pytest.mark.parametrize("kind", ["memory-wrap", "only-memory", "votes", "standard"])
def test_images_get_the_same_numbers_without_their_evidence(images, name, kind):
    model = models()[kind]
    whole, alone = (ask(model, images, name, evidence=asked) for asked in (True, False))
    assert whole.images.abs().max() > 0
    assert_close(alone.images, whole.images, rtol=1e-9, atol=1e-12)
    assert all(len(one) == 0 for one in alone.evidence)
    assert any(len(one) for one in whole.evidence) == (kind != "standard")


@pytest.mark.parametrize("name", WITH_EVIDENCE)
def test_a_method_whose_images_hang_on_their_evidence_never_leaves_it_out(images, name):
    model = models()["memory-wrap"]
    whole, alone = (ask(model, images, name, evidence=asked) for asked in (True, False))
    assert_close(alone.images, whole.images, rtol=0, atol=0)
    assert [len(one) for one in alone.evidence] == [len(one) for one in whole.evidence]


def test_a_method_that_is_asked_again_encodes_its_images_alone(images, stored):
    model, seen = make("votes").remember(stored, torch.arange(7) % 4), []
    rows, classes = torch.arange(3), model(images).argmax(1)
    asked = AskedMethod(model, "gradient", {}, classes, 0, 128)
    expected = whence.attribute(model, images, "gradient", classes.tolist()).images.sum(1)
    model.encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    assert_close(asked(images, rows), expected, rtol=1e-9, atol=1e-12)
    assert seen == [3, 3]  # the answer, and the slope
    assert len(asked.find(images, rows, evidence=True).evidence[0]) > 0
