"""Occlusion: windows of any size, step and fill, against captum, on images and evidence."""

import re

import pytest
import torch
from captum.attr import Occlusion
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, Quadratic, as_pixels, make
from whence.attribution import METHODS
from whence.attribution.baseline_images import blur


@pytest.mark.parametrize(("patch", "stride"), [(3, 2), ((2, 5), (1, 3)), ((8, 7), 5), (3, 3)])
def test_it_is_that_of_captum(patch, stride):
    torch.manual_seed(0)
    network, images = Net().double().eval(), torch.rand(3, 2, 8, 7, dtype=torch.float64)
    found = whence.attribute(
        network, images, "occlusion", 2, patch=patch, stride=stride, fill=(0.2, 0.7)
    )
    sides = [(one, one) if isinstance(one, int) else one for one in (patch, stride)]
    expected = Occlusion(network).attribute(
        images,
        (2, *sides[0]),
        strides=(2, *sides[1]),
        target=2,
        baselines=torch.tensor([0.2, 0.7]).view(1, 2, 1, 1).expand_as(images).double(),
    )
    assert_close(2 * found.images, expected.double(), rtol=0, atol=1e-6)
    assert found.ledger is None


@pytest.mark.parametrize("variant", ["memory-wrap", "votes"])
def test_an_evidence_image_is_hidden_alone(images, stored, variant):
    model = make(variant).remember(stored, [0, 1, 2, 3, 0, 1, 2])
    hidden = {"patch": (8, 3), "stride": (8, 3), "fill": "blur"}
    found = whence.attribute(model, images, "occlusion", score="logit", **hidden)
    for row, image in enumerate(as_pixels(images)):
        with torch.no_grad():
            read = model.read(images[[row]])
        chosen = int(read.logits.argmax())
        order = read.weights[0].argsort(descending=True)[: int((read.weights > 0).sum())]
        for place, evidence in zip(order, found.evidence[row], strict=True):
            for part in (slice(0, 3), slice(3, 6), slice(6, 7)):
                pixels = as_pixels(stored)
                pixels[place, ..., part] = blur(pixels)[place, ..., part]
                features = model.bank.features.clone()
                features[place] = model.encode(pixels[place][None])[0].detach()
                with torch.no_grad():
                    logits = model.head(
                        model.encode(image[None]), features, labels=model.bank.labels
                    ).logits
                loss = float(found.score[row].detach() - logits[0, chosen])
                expected = torch.full((2, 8, evidence[..., part].shape[-1]), loss / 2).double()
                assert_close(evidence[..., part], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "fill",
    [0.3, (0.1, 0.9), [0.1, 0.9], torch.tensor([0.1, 0.9]), "white", torch.full((2, 3, 4), 0.5)],
)
def test_what_is_seen_instead(fill):
    formula = Quadratic()
    found = METHODS["occlusion"](formula.score(), formula.images, patch=(3, 4), fill=fill)
    colour = torch.as_tensor({"white": 1.0}.get(fill) if isinstance(fill, str) else fill)
    seen = colour if colour.dim() == 3 else colour.view(-1, 1, 1).expand(2, 3, 4)
    hidden = formula(seen.expand(3, 2, 3, 4).double(), torch.arange(3))
    losses = formula(formula.images, torch.arange(3)) - hidden
    assert_close(found.images.sum(1)[:, 1, 2], losses, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": (9, 2)}, "patch must be at most 8 x 7, the size of the images, got 9 x 2."),
        ({"patch": 0}, "patch must be at least 1, got 0."),
        ({"patch": (1, 2, 3)}, "patch must be one number or (height, width), got (1, 2, 3)."),
        ({"patch": 2, "stride": 3}, "stride must be at most 2 x 2, the size of the patch, got 3 x"),
        ({"fill": "grey"}, "Unknown fill 'grey'. Choose from: white, black, mean, blur."),
        ({"fill": (0.1, 0.2, 0.3)}, "fill must be a name, a number, a colour of 2 numbers or an"),
        ({"fill": 2.0}, "fill must be in [0, 1], as pixels are, got numbers from 2 to 2."),
    ],
)
def test_what_does_not_fit_is_refused(images, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        whence.attribute(make("standard"), images, "occlusion", **options)


def test_a_patch_is_a_whole_number(images):
    with pytest.raises(
        TypeError, match=r"patch must be a whole number or a tuple or None, got 2\.5"
    ):
        whence.attribute(make("standard"), images, "occlusion", patch=2.5)
