"""Mean and deviation of pixels, against float copies of the images."""

import pytest
import torch

from whence.data import pixel_values
from whence.data.pixel_values import measure_pixels


@pytest.mark.parametrize("pixels", [1, 35, 100, 2**20])
def test_the_same_as_from_floats(rng, monkeypatch, pixels):
    monkeypatch.setattr(pixel_values, "PIXELS", pixels)
    images = torch.randint(0, 200, (11, 3, 5, 7), generator=rng).to(torch.uint8)
    images[:, 1] //= 3
    means, deviations = measure_pixels(images)
    floats = images.double().transpose(0, 1).flatten(1) / 255  # (C, NHW)
    assert means == tuple(round(value, 6) for value in floats.mean(1).tolist())
    assert deviations == tuple(round(value, 6) for value in floats.std(1).tolist())
    assert means[1] < means[0] / 2


def test_by_hand():
    images = torch.tensor([[0, 255], [51, 51]], dtype=torch.uint8).view(2, 2, 1, 1)
    assert measure_pixels(images) == ((0.1, 0.6), (0.141421, 0.565685))


def test_one_colour_has_a_deviation_to_divide_by():
    assert measure_pixels(torch.full((2, 1, 3, 4), 255, dtype=torch.uint8)) == ((1.0,), (0.001,))


def test_floats_are_refused():
    with pytest.raises(TypeError, match=r"images must be uint8, got torch\.float32"):
        measure_pixels(torch.zeros(2, 1, 3, 4))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\)"):
        measure_pixels(torch.zeros(2, 3, 4, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (1, 3, 1, 1)])
def test_too_few_pixels_are_refused(shape):
    with pytest.raises(ValueError, match="images must have at least two pixels a channel, got"):
        measure_pixels(torch.zeros(shape, dtype=torch.uint8))
