"""Pixels and relevance as PNG files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.pages import (
    picture,
)
from whence.records.picture import (
    NEGATIVE,
    POSITIVE,
    colour,
    draw_scale,
    find_factor,
    find_limit,
    shown_size,
    to_data_uri,
    to_png,
    to_uint8,
)


@pytest.mark.parametrize("shape", [(1, 8, 12), (3, 9, 5), (3, 224, 224)])
def test_png_keeps_every_pixel(shape):
    image = picture(1, shape)
    read = torch.from_numpy(np.array(Image.open(io.BytesIO(to_png(image)))))
    assert torch.equal(read if shape[0] == 3 else read[..., None], image.permute(1, 2, 0))
    assert to_data_uri(image).startswith("data:image/png;base64,iVBOR")


def test_png_refuses_what_is_no_picture():
    with pytest.raises(TypeError, match=r"image must be uint8, got torch.float32"):
        to_png(torch.zeros(3, 4, 5))
    with pytest.raises(ValueError, match=r"image must have 1 or 3 channels, got 2"):
        to_png(torch.zeros(2, 4, 5, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"image must be \(C, H, W\), got shape \(4, 5\)"):
        to_png(torch.zeros(4, 5, dtype=torch.uint8))


def test_floats_become_the_nearest_uint8():
    found = to_uint8(torch.tensor([[[0.0, 1.0, 0.1, 100.4 / 255]]], dtype=torch.float64))
    assert found.flatten().tolist() == [0, 255, 26, 100]
    assert to_uint8(picture(3)).equal(picture(3))


def test_colours_are_white_at_0_and_reach_their_ends():
    values = torch.tensor([[0.0, 2.0, -2.0], [5.0, -5.0, 1.0]])
    found = colour(values, 2.0).permute(1, 2, 0).tolist()
    assert found[0] == [[255] * 3, list(POSITIVE), list(NEGATIVE)]
    assert found[1][:2] == [list(POSITIVE), list(NEGATIVE)]  # beyond the ends
    assert found[1][2] == [round(255 + (end - 255) / 2) for end in POSITIVE]
    scale = draw_scale(5, 2)
    assert scale.shape == (3, 2, 5)
    assert scale[:, 0, [0, 2, 4]].T.tolist() == [list(NEGATIVE), [255] * 3, list(POSITIVE)]


def test_the_scale_ends_where_few_pixels_lie_beyond():
    values = torch.arange(1, 1001).float().view(20, 50)
    assert find_limit([values]) == 995
    assert find_limit([-values[:10], values[10:], torch.zeros(7, 3)]) == 995
    assert find_limit([torch.zeros(2, 3)]) == 1


def test_factors_keep_small_maps_within_the_scale():
    for limit, smaller in ((1.0, 0.3), (0.4, 0.0057), (2.0, 1.1), (1.0, 5.0)):
        factor = find_factor(limit, smaller)
        assert factor == 1 or factor * smaller <= limit < 2.5 * factor * smaller
    assert [find_factor(1.0, x) for x in (1.0, 0.5, 0.2, 0.1, 0.05)] == [1, 2, 5, 10, 20]


def test_small_images_are_shown_large_and_large_ones_fit():
    for height, width in ((8, 8), (28, 28), (33, 20), (95, 95), (96, 96)):
        shown = shown_size(height, width)
        assert shown % width == 0
        assert max(shown, height * shown // width) >= 96
    assert shown_size(400, 200, largest=224) == 112
