"""Activation maximisation: closed forms on linear scores, and what each regularisation does."""

import pytest
import torch
from torch.testing import assert_close

from whence.visualisation.maximise import Regularisation, maximise, shifted
from whence.visualisation.smooth import soften_images, total_variation

SHAPE = (2, 5, 4)


@pytest.fixture
def weight(rng):
    return torch.randn(SHAPE, generator=rng, dtype=torch.float64)


def linear(weight):
    return lambda inputs: (inputs * weight).flatten(1).sum(1)


def noise(rng, total=3):
    return torch.randn((total, *SHAPE), generator=rng, dtype=torch.float64)


def climb(activation, start, rng, steps=400, **regularisation):
    return maximise(activation, start, Regularisation(**regularisation), steps=steps, generator=rng)


def test_within_a_norm_a_linear_unit_finds_its_own_weights(weight, rng):
    found = climb(linear(weight), noise(rng), rng, norm=2.5)
    expected = (2.5 * weight / weight.norm()).expand(3, *SHAPE)
    assert_close(found.inputs, expected, rtol=0, atol=1e-6)
    assert_close(found.activations, weight.norm().expand(3) * 2.5)
    assert not found.rising.any()


def test_a_penalty_on_the_length_ends_at_half_the_weight_over_the_penalty(weight, rng):
    found = climb(linear(weight), noise(rng), rng, length=3.0)
    expected = weight * weight.numel() / (2 * 3.0)  # the penalty is on the mean square
    assert_close(found.inputs, expected.expand(3, *SHAPE), rtol=0, atol=1e-5)


def test_both_penalties_end_where_a_linear_system_says(weight, rng):
    found = climb(linear(weight), noise(rng), rng, steps=900, length=1.0, variation=2.0)
    places = torch.eye(weight.numel(), dtype=torch.float64).view(-1, *SHAPE)
    steps = torch.cat([places.diff(dim=axis).flatten(1) for axis in (2, 3)], 1)  # (n, steps)
    system = 2 * (torch.eye(weight.numel(), dtype=torch.float64) + 2.0 * steps @ steps.T)
    expected = torch.linalg.solve(system / weight.numel(), weight.flatten()).view(SHAPE)
    assert_close(found.inputs, expected.expand(3, *SHAPE), rtol=0, atol=1e-3)


def test_without_anything_a_linear_unit_grows_for_ever(weight, rng):
    found = climb(linear(weight), noise(rng), rng, steps=30)
    assert found.rising.all()
    assert (found.activations > 100).all()


def test_between_limits_a_linear_unit_ends_in_a_corner(weight, rng):
    limits = (torch.tensor(-1.0), torch.tensor(2.0))
    found = climb(linear(weight), noise(rng), rng, limits=limits)
    assert_close(found.inputs, torch.where(weight > 0, 2.0, -1.0).double().expand(3, *SHAPE))
    assert not found.rising.any()


def test_a_curved_unit_ends_at_its_maximum(weight, rng):
    def bell(inputs):
        return -(inputs - weight).square().flatten(1).sum(1)

    found = climb(bell, noise(rng), rng)
    assert_close(found.inputs, weight.expand(3, *SHAPE), rtol=0, atol=1e-5)


def test_every_row_is_on_its_own(weight, rng):
    start = noise(rng)
    together = climb(linear(weight).__call__, start, rng, steps=9, norm=1.0)
    alone = climb(linear(weight), start[1:2], rng, steps=9, norm=1.0)
    assert_close(together.inputs[1:2], alone.inputs)


def test_where_there_is_no_slope_the_start_stays(rng):
    start = noise(rng)
    found = climb(lambda inputs: 0 * inputs.flatten(1).sum(1), start, rng)
    assert torch.equal(found.inputs, start)
    assert not found.rising.any()


def test_start_and_global_randomness_are_left(weight, rng):
    start, state = noise(rng), torch.get_rng_state()
    before = start.clone()
    climb(linear(weight), start, rng, steps=5, norm=1.0, jitter=2, blur=0.5)
    assert torch.equal(start, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("change", [{"variation": 20.0}, {"blur": 0.8}])
def test_penalties_and_blur_make_inputs_smoother(weight, rng, change):
    start = noise(rng)
    rough = climb(linear(weight), start, rng, steps=60, norm=1.0)
    smooth = climb(linear(weight), start, rng, steps=60, norm=1.0, **change)
    assert (total_variation(smooth.inputs) < 0.8 * total_variation(rough.inputs)).all()
    assert (smooth.activations < rough.activations).all()
    assert_close(smooth.inputs.flatten(1).norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_jitter_finds_what_is_the_same_everywhere(weight, rng):
    level = weight.mean((1, 2), keepdim=True).expand(SHAPE)
    found = climb(linear(weight), noise(rng), rng, steps=300, norm=1.0, jitter=5)
    still = climb(linear(weight), noise(rng), rng, steps=300, norm=1.0)

    def alike(inputs):
        return (inputs * level).flatten(1).sum(1) / level.norm()

    assert (alike(found.inputs) > alike(still.inputs)).all()


def test_a_shift_goes_round_the_border(weight, rng):
    inputs = noise(rng, 1)
    drawn = {round(float(shifted(linear(weight), 1, rng)(inputs)), 9) for _ in range(60)}
    rolled = {
        round(float(linear(weight)(inputs.roll((down, across), (2, 3)))), 9)
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
    }
    assert drawn == rolled


def test_the_variation_of_a_small_image_by_hand():
    image = torch.tensor([[[[0.0, 1.0], [3.0, 1.0]]]])
    # squared steps down 9 and 0, across 1 and 4: 14 in all, over 4 pixels
    assert_close(total_variation(image), torch.tensor([3.5]))


def test_a_blur_keeps_even_images_and_sums_of_inner_points():
    even = torch.full((1, 2, 5, 6), 0.7)
    assert_close(soften_images(even, 1.3), even)
    point = torch.zeros(1, 1, 15, 15)
    point[0, 0, 7, 7] = 1
    blurred = soften_images(point, 1.0)
    assert_close(blurred.sum(), torch.tensor(1.0))
    ratio = blurred[0, 0, 7, 8] / blurred[0, 0, 7, 7]
    assert_close(ratio, torch.tensor(-0.5).exp())  # of a Gaussian, one deviation away
    assert soften_images(point, 0) is point


def test_no_step_is_refused(weight, rng):
    with pytest.raises(ValueError, match=r"steps must be at least 1, got 0\."):
        climb(linear(weight), noise(rng), rng, steps=0)
