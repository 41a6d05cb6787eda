"""Codes that are improved until the classifier sees the two classes it should."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tests.helpers.coding import SHAPE, Decoder, make_model, make_vae, snapshot
from whence.autoencoders.vae import absolute_distance
from whence.morphing.answers import classify_codes, top_two
from whence.morphing.code import pick
from whence.morphing.improve import (
    MARGIN,
    Descent,
    adam,
    improve_codes,
    lack_of_order,
    look,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def draw_pixels(count, *, seed=3):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


# What lacks


def test_lack_of_order_by_hand():
    logits = torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 5.0, 4.9]])
    wanted = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 2]])
    found = lack_of_order(logits, wanted, margin=0.5)
    # row 1: 2 must lead by 0.5 and has 0 against 1; 1 must lead 2 and does; 0 leads both
    assert_close(found, torch.tensor([0.0, 3.5, 1.0, 0.4]))
    assert lack_of_order(logits[3:], wanted[3:]) == pytest.approx(0.0, abs=1e-6)


def test_lack_of_order_of_two_classes():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert_close(lack_of_order(logits, torch.tensor([[0, 1], [0, 1]])), torch.tensor([0.0, 1.1]))


def test_nothing_lacks_only_where_the_top_two_are_right():
    logits = 0.3 * draw(200, 4)
    wanted = draw(200, 4, seed=1).argsort(1)[:, :2]
    lacking = lack_of_order(logits, wanted)
    right = (top_two(logits) == wanted).all(1)
    assert 5 < right.sum() < 100
    assert right[lacking == 0].all()
    leads = logits.sort(1, descending=True).values.diff(dim=1)[:, :2].abs().amin(1)
    assert ((lacking == 0) == (right & (leads >= MARGIN))).all()


# Steps


def test_adam_is_that_of_torch_row_by_row():
    at, slope = draw(5, 3), draw(5, 3, seed=1)
    leaf = nn.Parameter(at.clone())
    optimizer = torch.optim.Adam([leaf], lr=0.03)
    first = second = torch.zeros(5, 3)
    for step in range(1, 30):
        gradient = (at - slope).sign() * (at * slope).square() + 0.1 * at
        leaf.grad = gradient.clone()
        optimizer.step()
        at, first, second = adam(at, gradient, first, second, step, 0.03)
        assert_close(at, leaf.detach(), rtol=1e-4, atol=1e-6)


def test_the_gradient_by_differences():
    model, vae = make_model(), make_vae()
    model.double(), vae.double()
    images, wanted = draw_pixels(3).double(), torch.tensor([[0, 1], [2, 0], [1, 2]])
    codes = draw(3, 4).double()

    def aim(codes):
        decoded = vae.decode(codes)
        lacking = lack_of_order(model(decoded), wanted)
        return lacking, lacking + 3.0 * absolute_distance(decoded, images)

    lacking, gradient = look(model, vae, codes, images, wanted, 3.0)
    assert_close(lacking, aim(codes)[0], check_dtype=False, rtol=1e-4, atol=1e-5)
    assert gradient.abs().min() > 1e-8
    for place in range(4):
        shift = torch.zeros(4).double()
        shift[place] = 1e-6
        slope = (aim(codes + shift)[1] - aim(codes - shift)[1]) / 2e-6
        assert_close(gradient[:, place], slope, rtol=1e-2, atol=1e-3)


# The descent


def test_it_finds_codes_and_stops_at_the_first():
    model, vae = make_model(), make_vae()
    codes = draw(6, 4)
    images = vae.decode(codes).detach()
    logits = model(images).detach()
    wanted = top_two(logits)
    wanted[1] = torch.tensor([int(logits[1].argmin()), int(logits[1].argmax())])
    wanted[4] = wanted[4].flip(0)
    found = improve_codes(model, vae, images, codes, wanted, descent=Descent(steps=300, rate=0.05))
    assert found.found.all()
    seen = classify_codes(model, vae, found.codes)[1]
    assert (lack_of_order(seen, wanted, margin=MARGIN - 1e-4) == 0).all()
    leads = lack_of_order(logits, wanted) == 0
    assert (found.steps[leads] == 0).all()
    assert_close(found.codes[leads], codes[leads])
    assert (found.steps[~leads] > 0).all()
    assert found.steps[1] != found.steps[4]


def slowly(model, vae, image, code, wanted, descent):
    """One image, with torch's own Adam; the code that lacked least, if none was found."""
    least, best = float("inf"), None
    leaf = nn.Parameter(code.clone()[None])
    optimizer = torch.optim.Adam([leaf], lr=descent.rate)
    for step in range(descent.steps + 1):
        decoded = vae.decode(leaf)
        lacking = lack_of_order(model(decoded), wanted[None])
        if float(lacking.detach()) < least:
            least, best = float(lacking.detach()), leaf.detach()[0].clone()
        if least == 0:
            return best, True, step
        weight = descent.closeness * (1 - step / descent.steps)
        aim = lacking + weight * absolute_distance(decoded, image[None])
        leaf.grad = torch.autograd.grad(aim.sum(), leaf)[0]
        optimizer.step()
    return best, False, descent.steps


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_all_at_once_is_one_by_one(variant, batch_size):
    model, vae = make_model(variant), make_vae()
    codes, images = draw(7, 4), draw_pixels(7)
    wanted = torch.tensor([[0, 1], [1, 0], [1, 2], [2, 1], [0, 2], [2, 0], [0, 1]])
    descent = Descent(steps=60, rate=0.1, closeness=2.0)
    found = improve_codes(model, vae, images, codes, wanted, descent=descent, batch_size=batch_size)
    for row in range(7):
        code, there, step = slowly(model, vae, images[row], codes[row], wanted[row], descent)
        assert (bool(found.found[row]), int(found.steps[row])) == (there, step)
        assert_close(found.codes[row], code, rtol=1e-3, atol=1e-4)
    assert found.found.any()
    assert len(found.steps.unique()) > 3


def test_the_distance_counts():
    model, vae = make_model(), make_vae()
    codes, images = draw(5, 4), draw_pixels(5)
    wanted = torch.tensor([[0, 1], [1, 0], [1, 2], [2, 1], [0, 2]])
    far, near = (
        improve_codes(model, vae, images, codes, wanted, descent=Descent(200, 0.05, closeness))
        for closeness in (0.0, 50.0)
    )
    both = far.found & near.found & (far.steps > 0)
    assert both.sum() >= 2
    distances = [
        absolute_distance(vae.decode(one.codes[both]), images[both]) for one in (far, near)
    ]
    assert (distances[1] < distances[0] - 1e-4).all()


def test_where_nothing_is_found_the_least_lacking_is_kept():
    model, vae = make_model(), make_vae()
    with torch.no_grad():
        model.head.classifier.bias[2] -= 1e4  # class 2 is never first
    codes, images = draw(3, 4), draw_pixels(3)
    wanted = torch.tensor([[2, 0], [2, 1], [2, 0]])
    descent = Descent(steps=20, rate=3.0, closeness=900.0)  # too fast, and it looks elsewhere
    found = improve_codes(model, vae, images, codes, wanted, descent=descent)
    expected = [
        slowly(model, vae, *row, descent)[0] for row in zip(images, codes, wanted, strict=True)
    ]
    assert_close(found.codes, torch.stack(expected), rtol=1e-3, atol=1e-3)
    assert not found.found.any()
    assert found.steps.tolist() == [20, 20, 20]
    before, after = (
        lack_of_order(classify_codes(model, vae, one)[1], wanted) for one in (codes, found.codes)
    )
    assert (after < before).all()


class Spoiled(Decoder):
    """A decoder whose gradient is NaN for codes that begin with more than 5."""

    def forward(self, codes):
        spoiled = codes[:, 0] > 5
        nothing = codes[:, 1] - codes[:, 1].detach()
        added = torch.zeros(len(codes)).masked_scatter(spoiled, nothing[spoiled].sqrt())
        return super().forward(codes) + added[:, None, None, None]


def test_nan_stops_one_image_alone():
    torch.manual_seed(0)  # of the decoder
    model, vae = make_model(), make_vae(Spoiled())
    codes, images = draw(3, 4), draw_pixels(3)
    codes[1, 0] = 6.0
    wanted = top_two(model(vae.decode(codes)).detach()).flip(1)
    found = improve_codes(model, vae, images, codes, wanted, descent=Descent(300, 0.05))
    assert found.found.tolist() == [True, False, True]
    assert_close(found.codes[1], codes[1])
    assert found.codes.isfinite().all()


def test_no_images():
    found = improve_codes(
        make_model(), make_vae(), torch.zeros(0, *SHAPE), draw(0, 4), torch.zeros(0, 2).long()
    )
    assert [tuple(part.shape) for part in found] == [(0, 4), (0,), (0,)]


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_nothing_is_left_behind(variant):
    model, vae = make_model(variant).requires_grad_(), make_vae().requires_grad_()
    codes, images = draw(3, 4), draw_pixels(3)
    before = snapshot(model, vae, codes, images)
    wanted = torch.tensor([[0, 1], [1, 0], [2, 1]])
    found = improve_codes(model, vae, images, codes, wanted, descent=Descent(steps=9))
    assert snapshot(model, vae, codes, images) == before
    assert not found.codes.requires_grad
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        improve_codes(model, vae, images, codes, wanted, batch_size=0)


def test_a_decoding_of_no_numbers_stops_one_image_alone():
    """The model would refuse NaN for the whole batch."""

    class Torn(Decoder):
        def forward(self, codes):
            return (
                super().forward(codes).masked_fill((codes[:, :1] > 5)[:, :, None, None], torch.nan)
            )

    torch.manual_seed(0)  # of the decoder
    model, vae = make_model(), make_vae(Torn())
    codes, images = draw(3, 4), draw_pixels(3)
    codes[1, 0] = 6.0
    wanted = torch.tensor([[0, 1], [1, 0], [1, 0]])
    found = improve_codes(model, vae, images, codes, wanted, descent=Descent(300, 0.05))
    assert not bool(found.found[1])
    assert_close(found.codes[1], codes[1])
    as_nan = top_two(torch.full((1, 3), torch.nan))  # whatever order NaN is put in
    tried = torch.stack([codes[1], codes[0], codes[2]])[None]
    picked = pick(model, vae, images[:1], as_nan, tried, batch_size=9)
    assert not torch.equal(picked.codes[0], codes[1])
    decoded, logits = classify_codes(model, vae, codes)
    assert decoded[1].isnan().all()
    assert logits[1].isnan().all()
    assert logits[[0, 2]].isfinite().all()
