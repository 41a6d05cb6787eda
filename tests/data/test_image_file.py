"""Image files read into one tensor: size, channels, order, and what is said of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.image_files import read_one
from whence.data.folder import image_folder
from whence.data.image_file import read_files


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def smooth():
    """A 320 x 240 picture without fine detail."""
    tiny = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiny).resize((320, 240), Image.Resampling.BICUBIC)


# Size


def test_centre_crop_by_hand(tmp_path):
    row = np.array([[0, 10, 20, 30, 40]] * 2, dtype=np.uint8)
    Image.fromarray(row).save(tmp_path / "wide.png")
    Image.fromarray(row.T).save(tmp_path / "tall.png")
    wide = read_one(tmp_path / "wide.png", size=2, channels=1)
    tall = read_one(tmp_path / "tall.png", size=2, channels=1)
    assert wide.tolist() == [[[10, 20], [10, 20]]], "cropped, not resampled"
    assert_close(tall, wide.mT)


@pytest.mark.parametrize("size", [(60, 80), (64, 64), (32, 96), (100, 20)])
def test_resizing_agrees_with_torch(tmp_path, smooth, size):
    smooth.save(tmp_path / "a.png")
    got = read_one(tmp_path / "a.png", size=size, channels=3)
    images = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None].double()
    height, width = size
    scale = min(240 / height, 320 / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (240 - rows) // 2, (320 - columns) // 2
    crop = images[..., top : top + rows, left : left + columns]
    expected = F.interpolate(crop, size, mode="bilinear", antialias=True)[0]
    assert got.shape == (3, *size)
    if (rows, columns) != (240, 320):  # what was cropped away still weighs in at the border
        got, expected = got[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1]
    assert (got - expected).abs().max() < 1.01


def test_enlarging(tmp_path):
    Image.fromarray(np.array([[10, 250]] * 2, dtype=np.uint8)).save(tmp_path / "a.png")
    got = read_one(tmp_path / "a.png", size=4, channels=1)[0, 1]
    assert got.tolist() == [10, 70, 190, 250]  # a quarter of the way, three quarters


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1)])
def test_extreme_shapes(tmp_path, shape):
    Image.fromarray(np.full(shape, 9, np.uint8)).save(tmp_path / "a.png")
    got = read_one(tmp_path / "a.png", size=(5, 40), channels=1)
    assert_close(got, torch.full((1, 5, 40), 9, dtype=torch.uint8))


@pytest.mark.parametrize("sizes", [[(90, 70), (70, 70)], [(300, 200), (64, 64)]])
@pytest.mark.parametrize("side", [12, 64])
def test_a_file_read_alone_equals_the_folder(tmp_path, smooth, sizes, side):
    """So that an image that is in the bank is known again by its hash."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index, size in enumerate(sizes):
            smooth.rotate(index * 20 + ord(name)).resize(size).save(
                tmp_path / name / f"{index}.jpg"
            )
    train = image_folder(tmp_path, default_large_size=side).train
    for image, source in zip(train.images, train.sources, strict=True):
        assert_close(read_one(tmp_path / source, size=side, channels=3), image)


# Channels


def test_channels_are_converted_and_said(tmp_path, numbers):
    colour = numbers.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.png")
    both = [tmp_path / "colour.png", tmp_path / "grey.png"]
    grey = read_files(both, size=(5, 4), channels=1)
    assert grey.notes == ("1 of 2 images is in colour and was converted to grey.",)
    oracle = np.array(Image.fromarray(colour).convert("L"))
    assert_close(grey.images[:, 0], torch.from_numpy(np.stack([oracle, colour[..., 0]])))
    repeated = read_files(both[1:], size=(5, 4), channels=3)
    assert repeated.notes == ("The images are grey: their one channel was repeated to make three.",)
    assert_close(repeated.images[0], torch.from_numpy(colour[..., 0]).expand(3, 5, 4).clone())
    assert read_files(both, size=(5, 4), channels=3).notes == ()
    assert read_files(both[1:], channels=1).notes == ()


def test_order_is_kept_over_many_threads(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(100)]
    for index, path in enumerate(paths):
        Image.new("L", (2, 2), index).save(path)
    found = read_files(paths)
    assert found.images[:, 0, 0, 0].tolist() == list(range(100))
    assert found.images.shape == (100, 1, 2, 2)
    assert [file.path for file in found.files] == paths
    assert found.notes == ()


def test_options_are_checked(tmp_path):
    with pytest.raises(ValueError, match="size must be at least 1, got -1"):
        read_one(tmp_path / "a.png", size=(4, -1), channels=3)
    with pytest.raises(ValueError, match="channels must be 1"):
        read_one(tmp_path / "a.png", size=4, channels=0)
    with pytest.raises(ValueError, match="paths must name at least one image file, got none"):
        read_files([])
