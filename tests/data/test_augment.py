"""Augmentations, pixels as floats, channels and sizes of images in memory."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.testing import assert_close

from whence.data import AUGMENTATIONS
from whence.data.augment import crop_flip, flip, none, shift, shift_flip, to_float
from whence.data.channels import to_channels
from whence.data.resize import resize

DTYPES = [torch.uint8, torch.float32, torch.float64]


def random_images(rng, *shape, dtype=torch.uint8):
    return torch.randint(1, 256, shape, generator=rng).to(dtype)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_augmentations_keep_shape_dtype_and_input(name, dtype, rng):
    images = random_images(rng, 7, 3, 6, 5, dtype=dtype)
    before = images.clone()
    changed = AUGMENTATIONS[name](images, generator=rng)
    assert changed.shape == images.shape
    assert changed.dtype == dtype
    assert_close(images, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_follow_the_generator(name, rng):
    images = random_images(rng, 20, 1, 8, 8)
    results = [
        AUGMENTATIONS[name](images, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert_close(results[0], results[1])
    assert torch.equal(results[0], results[2]) == (name == "none")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_reject_one_image(name, rng):
    with pytest.raises(ValueError, match=r"images must be \(B, C, H, W\), got shape \(3, 8, 8\)"):
        AUGMENTATIONS[name](torch.zeros(3, 8, 8), generator=rng)


def test_none_draws_nothing(rng):
    images, state = random_images(rng, 2, 1, 3, 3), rng.get_state()
    assert none(images, generator=rng) is images
    assert torch.equal(rng.get_state(), state)


def test_flip_mirrors_half_of_the_images_left_to_right(rng):
    images = random_images(rng, 2000, 2, 3, 4)
    flipped = flip(images, generator=rng)
    mirrored = torch.tensor(
        [torch.equal(a, b.flip(-1)) for a, b in zip(flipped, images, strict=True)]
    )
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, images, strict=True)])
    assert (mirrored ^ kept).all()
    assert 900 < int(mirrored.sum()) < 1100


def test_crop_flip_against_loops():
    """A slow second implementation that reads the same stream of random numbers."""
    images = random_images(torch.Generator().manual_seed(1), 30, 2, 7, 5)
    got = crop_flip(images, generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    shifts = torch.randint(9, (2, 30, 1), generator=generator)[..., 0]
    coins = torch.rand(30, generator=generator) < 0.5
    expected = torch.zeros_like(images)
    for index, (top, left) in enumerate(shifts.T.tolist()):
        for row in range(7):
            for column in range(5):
                y, x = row + top - 4, column + left - 4
                if 0 <= y < 7 and 0 <= x < 5:
                    target = 4 - column if coins[index] else column
                    expected[index, :, row, target] = images[index, :, y, x]
    assert set(shifts.flatten().tolist()) == set(range(9)), "every shift is tried"
    assert_close(got, expected)


@pytest.mark.parametrize(("height", "width"), [(8, 5), (32, 17)])
def test_shift_against_loops(height, width):
    """A slow second implementation that reads the same stream of random numbers."""
    images = random_images(torch.Generator().manual_seed(1), 90, 2, height, width)
    got = shift(images, generator=torch.Generator().manual_seed(2))
    generator, drawn = torch.Generator().manual_seed(2), []
    for side in (height, width):
        most = max(1, side // 8)
        drawn.append(torch.randint(-most, most + 1, (90, 1), generator=generator).flatten())
        assert set(drawn[-1].tolist()) == set(range(-most, most + 1)), "every shift is tried"
    expected = torch.zeros_like(images)
    for index in range(90):
        padded = F.pad(images[index].float(), (4, 4, 4, 4), mode="reflect")
        top, left = (4 + int(shifts[index]) for shifts in drawn)
        expected[index] = padded[:, top : top + height, left : left + width].to(torch.uint8)
    assert_close(got, expected)


def test_one_pixel_cannot_be_shifted(rng):
    images = random_images(rng, 3, 1, 1, 1)
    assert_close(shift(images, generator=rng), images)


def test_shift_flip_shifts_and_mirrors(rng):
    images = random_images(rng, 200, 1, 4, 4)
    one, two = (torch.Generator().manual_seed(3) for _ in range(2))
    shifted = shift(images, generator=one)
    found = shift_flip(images, generator=two)
    assert_close(found, flip(shifted, generator=one))
    assert not torch.equal(found, shifted)


# to_float


def test_to_float_by_hand():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert_close(to_float(images), torch.tensor([0.0, 0.2, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_pass(dtype):
    images = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    assert to_float(images) is images
    empty = torch.zeros(0, 3, dtype=dtype)
    assert to_float(empty) is empty


@pytest.mark.parametrize(
    "values", [[-0.01, 0.5], [0.5, 1.01], [0.5, float("nan")], [float("inf"), 0.0]]
)
def test_floats_out_of_range(values):
    with pytest.raises(
        ValueError, match=r"images must be uint8 or floats in \[0, 1\], got (floats from|NaN)"
    ):
        to_float(torch.tensor(values))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int8])
def test_other_types(dtype):
    with pytest.raises(TypeError, match=r"images must be uint8 or floats in \[0, 1\], got torch"):
        to_float(torch.zeros(2, dtype=dtype))


# Channels


def test_grey_agrees_with_pillow(rng):
    images = random_images(rng, 4, 3, 31, 17)
    oracle = [
        np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")) for image in images
    ]
    assert_close(to_channels(images, 1)[:, 0], torch.from_numpy(np.stack(oracle)))


def test_grey_in_chunks(rng, monkeypatch):
    images = random_images(rng, 10, 3, 2, 2)
    whole = to_channels(images, 1)
    monkeypatch.setattr("whence.data.channels.CHUNK", 3)
    assert_close(to_channels(images, 1), whole)


def test_repeating_and_back(rng):
    images = random_images(rng, 3, 1, 5, 4)
    repeated = to_channels(images, 3)
    assert_close(repeated, torch.cat([images] * 3, dim=1))
    assert_close(to_channels(repeated, 1), images)
    assert to_channels(images, 1) is images


def test_channels_reject():
    with pytest.raises(ValueError, match=r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"):
        to_channels(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), 2)
    with pytest.raises(ValueError, match="images must have 1 or 3 channels, got 4"):
        to_channels(torch.zeros(1, 4, 2, 2, dtype=torch.uint8), 1)


# Resizing


def test_resize_averages_blocks_and_crops_the_centre():
    row = torch.tensor([[9, 10, 20, 30, 40, 9]] * 4, dtype=torch.uint8)
    cropped = resize(row[None, None], 4)
    assert cropped[0, 0].tolist() == [[10, 20, 30, 40]] * 4
    assert resize(row.T[None, None], 4)[0, 0].tolist() == cropped[0, 0].T.tolist()
    flat = torch.full((2, 3, 9, 9), 77, dtype=torch.uint8)
    assert (resize(flat, 4) == 77).all()
    assert resize(flat, 9) is flat


@pytest.mark.parametrize("size", [5, 13, 40])
def test_resize_agrees_with_pillow(rng, size, monkeypatch):
    monkeypatch.setattr("whence.data.resize.CHUNK", 2)
    noise = torch.randint(0, 256, (5, 3, 6, 6), generator=rng).float()
    images = F.interpolate(noise, (21, 21), mode="bicubic").clamp(0, 255).to(torch.uint8)
    got = resize(images, size)
    for image, result in zip(images, got, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        oracle = np.array(picture.resize((size, size), Image.Resampling.BILINEAR))
        assert (result.int() - torch.from_numpy(oracle).permute(2, 0, 1).int()).abs().max() <= 1


def test_resize_rejects():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        resize(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), 0)
