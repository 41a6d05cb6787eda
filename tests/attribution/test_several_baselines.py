"""Integrated gradients from several baselines, and from images that are drawn."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import EXACT, SHAPE, Net, as_pixels, make


def check_mean(found, parts):
    """All tensors and every line of the ledger are the mean of those of the parts."""
    for name in ("images", "start", "score"):
        mean = torch.stack([getattr(one, name) for one in parts]).mean(0)
        assert_close(getattr(found, name), mean, **EXACT)
    for row, evidence in enumerate(found.evidence):
        assert_close(evidence, torch.stack([one.evidence[row] for one in parts]).mean(0), **EXACT)
    for name, amounts in found.ledger.items():
        assert_close(amounts, torch.stack([one.ledger[name] for one in parts]).mean(0), **EXACT)


@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_several_baselines_are_the_mean_of_each(images, stored, moved):
    model, given = make().remember(stored), torch.full(SHAPE, 0.3).double()
    options = {"steps": 3, "memory": moved}
    found = whence.attribute(model, images, baseline=["white", given, "blur"], **options)
    parts = [
        whence.attribute(model, images, baseline=one, **options) for one in ("white", given, "blur")
    ]
    check_mean(found, parts)
    assert ("outside the evidence" in found.ledger) == (moved == "all")
    assert "from white images and from the image that was given and from blurred" in found.sentence
    assert "(3 steps, the mean over 3 baselines)" in found.sentence


def test_stored_images_are_drawn_as_baselines(images, stored):
    model = make().remember(stored)
    found = whence.attribute(
        model,
        images,
        "expected_gradients",
        samples=4,
        steps=2,
        generator=torch.Generator().manual_seed(1),
    )
    drawn = torch.randint(7, (4,), generator=torch.Generator().manual_seed(1))
    assert len(drawn.unique()) > 1
    parts = [
        whence.attribute(model, images, baseline=as_pixels(stored)[place], steps=2)
        for place in drawn
    ]
    check_mean(found, parts)
    assert "the mean over 4 draws from stored images (2 steps each)" in found.sentence


def test_what_cannot_be_a_baseline_is_refused(images):
    model, generator = make("standard"), torch.Generator()
    with pytest.raises(ValueError, match=r"name, an image or a list of these, got an empty list"):
        whence.attribute(model, images, baseline=[])
    with pytest.raises(ValueError, match=r"Unknown baseline 'grey'. Choose from: white, black"):
        whence.attribute(model, images, baseline=["white", "grey"])
    for one in (model, Net().double().eval()):
        with pytest.raises(ValueError, match=r"needs baselines, .* model has no stored images"):
            whence.attribute(one, as_pixels(images), "expected_gradients", generator=generator)
    for baselines, message in (
        (torch.rand(2, 2, 8, 6), r"baselines must be \(N, C, H, W\) with W=7, got"),
        (torch.rand(0, 2, 8, 7), r"baselines must hold at least one image to draw from, got none"),
        (torch.rand(2, 2, 8, 7) + 1, r"baseline must be in \[0, 1\], as pixels are, got"),
    ):
        with pytest.raises(ValueError, match=message):
            whence.attribute(
                model, images, "expected_gradients", generator=generator, baselines=baselines
            )
