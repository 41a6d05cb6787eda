"""The smallest mask: the closed form on a linear score, its costs, and what it says of itself."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, as_pixels, make
from whence.attribution import METHODS
from whence.attribution.baseline_images import blur
from whence.attribution.disturbances import blend, blur_stepwise
from whence.attribution.score import FunctionScore

IMAGES = torch.rand(2, 2, 4, 5, generator=torch.Generator().manual_seed(0)).double()
WEIGHTS = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1)).double()


def linear(images, rows):
    return 50 * (WEIGHTS[rows] * images).sum((1, 2, 3)) - 7


@pytest.mark.parametrize("fill", [0.5, "noise", "white"])
def test_on_a_line_a_pixel_is_hidden_if_it_holds_more_than_it_costs(fill):
    generator, score = torch.Generator().manual_seed(3), FunctionScore(linear)
    options = {"patch": 1, "smoothness": 0.0, "area": 0.4, "fill": fill, "generator": generator}
    found = METHODS["mask"](score, IMAGES, **options)
    filled = torch.full_like(IMAGES, {0.5: 0.5, "white": 1.0}.get(fill, 0.0))
    if fill == "noise":
        spans = (IMAGES.amax((1, 2, 3)) - IMAGES.amin((1, 2, 3))).view(2, 1, 1, 1)
        drawn = torch.randn(IMAGES.shape, generator=torch.Generator().manual_seed(3)).double()
        filled = IMAGES.mean((2, 3), keepdim=True) + 0.25 * spans * drawn
    lost = 50 * (WEIGHTS * (IMAGES - filled)).sum(1)  # (B, H, W) by hiding each
    scale = lost.sum((1, 2)).abs()[:, None, None]
    hidden = (lost > 0.4 * scale / 20).double()
    assert 4 < int(hidden.sum()) < 36
    assert_close(found.images.sum(1), hidden, rtol=0, atol=1e-9)
    assert "not settled" not in found.sentence


def test_a_larger_price_hides_less_and_neighbours_hold_together():
    score = FunctionScore(linear)

    def find(**options):
        options = {"patch": 1, "fill": 0.5, "smoothness": 0.0} | options
        return METHODS["mask"](score, IMAGES, **options).images.sum(1)

    assert float(find(area=0.0).mean()) > float(find(area=1.0).mean()) > 0
    rough, smooth = find(), find(smoothness=30.0)
    assert float(smooth.diff(dim=2).abs().max()) < 0.7 < float(rough.diff(dim=2).abs().max())


def test_blurs_lead_from_the_image_to_the_baseline():
    layers = blur_stepwise(IMAGES)
    assert_close(layers[:, 0], IMAGES, rtol=0, atol=0)
    assert_close(layers[:, -1], blur(IMAGES), rtol=0, atol=1e-12)
    masks = torch.rand(2, 4, 5).double().requires_grad_()
    (slopes,) = torch.autograd.grad(blend(layers, masks).sum(), masks)
    assert bool(slopes.any(1).any(1).all())
    for corner in (0.0, 1.0):  # no dead end there
        masks = torch.full((2, 4, 5), corner).double().requires_grad_()
        (slopes,) = torch.autograd.grad(blend(layers[:, [0, -1]], masks).sum(), masks)
        assert_close(slopes, (IMAGES - blur(IMAGES)).sum(1), rtol=0, atol=1e-12)


def test_a_mask_that_does_not_settle_says_so_and_is_the_last(images, stored):
    model = make().remember(stored)
    found = whence.attribute(model, images, "mask", iterations=2)
    total = 3 + sum(map(len, found.evidence))
    words = f"{total} of {total} masks had not settled after 2 iterations and are shown as they"
    assert words in found.sentence
    moved = found.images.sum(1)
    assert 0.2 < float(moved.min()) < float(moved.max()) < 0.8  # two steps of 0.1 from the middle
    assert float((moved - 0.5).abs().max()) > 0.15


def test_what_changes_nothing_is_not_hidden(images):
    constant = FunctionScore(lambda some, rows: 0 * some.sum((1, 2, 3)) + 2)
    found = METHODS["mask"](constant, as_pixels(images), iterations=60)
    assert_close(found.images, torch.zeros_like(found.images), rtol=0, atol=1e-9)
    found = whence.attribute(make("standard"), images, "mask", lambda logits: 0 * logits[:, 0])
    assert "Every number of images 0, 1, 2 is 0" in found.words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "noise"}, "fill 'noise' needs the option generator, which was not given"),
        ({"fill": "grey"}, "Unknown fill 'grey'. Choose from: white, black, mean, blur"),
        ({"area": -0.1}, "area must be at least 0, got -0.1"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"patch": 10}, "patch must be at most 8 x 7, the size of the images"),
    ],
)
def test_what_does_not_fit_is_refused(images, options, message):
    with pytest.raises(ValueError, match=message):
        whence.attribute(Net().double().eval(), as_pixels(images), "mask", **options)


def test_a_score_without_a_gradient_is_refused():
    stiff = FunctionScore(lambda some, rows: some.detach().sum((1, 2, 3)))
    with pytest.raises(RuntimeError, match=r"lets no gradient through"):
        METHODS["mask"](stiff, IMAGES)
