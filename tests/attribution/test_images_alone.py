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
from whence.memory import HEADS

LEFT_OUT = {
    left: [name for name in METHODS if find_method(name).lighter == left]
    for left in ("nothing", "evidence", "pixels")
}
LIGHTER = [name for left, names in LEFT_OUT.items() if left != "nothing" for name in names]
WHOLE = sorted({*LEFT_OUT["nothing"]} - {"path_integrated_gradients", "cam"})


def ask(model, images, name, *, evidence, batch_size=4, **given):
    few = {"steps": 3} if "steps" in find_method(name).options else {}
    options = give_options(find_method(name), as_pixels(images)) | few | given
    return ask_method(
        model,
        images,
        name,
        None,
        score=None,
        batch_size=batch_size,
        options=options,
        evidence=evidence,
    )


@pytest.mark.parametrize("name", LIGHTER)
@pytest.mark.parametrize("kind", ["memory-wrap", "only-memory", "votes", "standard"])
def test_images_get_the_same_numbers_without_their_evidence(images, name, kind):
    model = models()[kind]
    whole, alone = (ask(model, images, name, evidence=asked) for asked in (True, False))
    assert whole.images.abs().max() > 0 or (kind, name) in SILENT
    assert_close(alone.images, whole.images, rtol=1e-9, atol=1e-12)
    assert all(len(one) == 0 for one in alone.evidence)
    assert any(len(one) for one in whole.evidence) == (kind != "standard")


SILENT = [("only-memory", name) for name in ("lrp", "deep_taylor", "excitation_backprop")]
"""With constant weights nothing but the evidence has a part in the answer."""


@pytest.mark.parametrize("name", ["lrp", "deep_taylor", "excitation_backprop"])
@pytest.mark.parametrize("variant", [name for name in HEADS if name not in ("standard", "votes")])
def test_images_are_the_same_where_weights_are_explained(images, stored, name, variant):
    model = make(variant).remember(stored)
    whole, alone = (
        ask(model, images, name, evidence=asked, weights="explained") for asked in (True, False)
    )
    assert whole.images.abs().max() > 0
    assert_close(alone.images, whole.images, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_a_method_whose_images_hang_on_their_evidence_never_leaves_it_out(images, name):
    model = models()["memory-wrap"]
    whole, alone = (ask(model, images, name, evidence=asked) for asked in (True, False))
    assert_close(alone.images, whole.images, rtol=0, atol=0)
    assert [len(one) for one in alone.evidence] == [len(one) for one in whole.evidence]


@pytest.mark.parametrize("name", ["integrated_gradients", "deeplift"])
def test_a_baseline_of_the_image_itself_is_that_of_each_evidence_image(images, name):
    model = models()["memory-wrap"]
    whole, alone = (
        ask(model, images, name, evidence=asked, baseline="blur") for asked in (True, False)
    )
    assert_close(alone.images, whole.images, rtol=1e-9, atol=1e-12)
    assert_close(alone.start, whole.start, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["gradient", "lrp", "deeplift", "guided_backprop"])
def test_a_method_that_is_asked_again_encodes_its_images_alone(images, stored, name):
    model, seen = make("votes").remember(stored, torch.arange(7) % 4), []
    rows, classes = torch.arange(3), model(images).argmax(1)
    asked = AskedMethod(model, name, {}, classes, 0, 128)
    expected = whence.attribute(model, images, name, classes.tolist()).images.sum(1)
    model.encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    assert_close(asked(images, rows), expected, rtol=1e-9, atol=1e-12)
    answer, *others = seen
    assert answer == 3
    assert others == ENCODED[name]
    assert len(asked.find(images, rows, evidence=True).evidence[0]) > 0


ENCODED = {"gradient": [3], "lrp": [3], "guided_backprop": [3], "deeplift": [3, 4, 3]}
"""Images that are encoded after the answer; of DeepLIFT the baseline of what is read, too."""
