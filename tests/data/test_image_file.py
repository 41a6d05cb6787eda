"""One image file: every mode, rotation and size, and files that are damaged."""

import contextlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F
from torch.testing import assert_close

from whence.data.decode import decode
from whence.data.folder import image_folder
from whence.data.image_file import read_image, read_images

RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def smooth():
    """A 320 x 240 picture without fine detail."""
    tiny = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiny).resize((320, 240), Image.Resampling.BICUBIC)


def native(path):
    return decode(path, size=None, large_size=64)


# Modes


def test_sixteen_bits_are_scaled_by_their_range(tmp_path):
    values = np.array([[0, 128, 129], [257, 32896, 65535]], dtype=np.uint16)
    expected = np.array([[0, 0, 1], [1, 128, 255]], dtype=np.uint8)[..., None]
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(native(tmp_path / name), expected)


def test_mode_i(tmp_path):
    values = np.array([[0, 257], [514, 65535]], dtype=np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(native(tmp_path / "a.tif")[..., 0], [[0, 1], [2, 255]])
    Image.fromarray(values + 1).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="its integers are not within 0 to 65535"):
        native(tmp_path / "a.tif")
    Image.fromarray(values - 1).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="its integers are not within 0 to 65535"):
        native(tmp_path / "a.tif")


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="its pixels are floating-point numbers"):
        native(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "mode, colour, expected",
    [
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),  # a fifth red, four fifths white
        ("LA", (0, 51), (204,)),
        ("LA", (100, 255), (100,)),
    ],
)
def test_alpha_on_white(tmp_path, mode, colour, expected):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png")
    expected = expected[:1] if len(set(expected)) == 1 else expected
    np.testing.assert_array_equal(
        native(tmp_path / "a.png"), np.full((2, 3, len(expected)), expected)
    )


@pytest.mark.parametrize(
    "mode, colour, key, expected",
    [
        ("RGB", RED, RED, (255,)),
        ("RGB", RED, (0, 0, 0), RED),
        ("L", 7, 7, (255,)),
        ("L", 7, 8, (7,)),
    ],
)
def test_transparent_colour_on_white(tmp_path, mode, colour, key, expected):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png", transparency=key)
    np.testing.assert_array_equal(
        native(tmp_path / "a.png"), np.full((2, 3, len(expected)), expected)
    )


def test_palette(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, *RED])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(native(tmp_path / "a.png"), [[(10, 20, 30), RED]])
    image.save(tmp_path / "b.png", transparency=0)
    np.testing.assert_array_equal(native(tmp_path / "b.png"), [[WHITE, RED]])
    image.save(tmp_path / "c.png", transparency=bytes([255, 51]))
    np.testing.assert_array_equal(native(tmp_path / "c.png"), [[(10, 20, 30), (255, 204, 204)]])


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(native(tmp_path / "a.tif"), np.full((16, 16, 3), RED))
    image.save(tmp_path / "a.jpg", quality=95)
    assert np.abs(native(tmp_path / "a.jpg").astype(int) - RED).max() <= 3


def test_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(native(tmp_path / "a.png")[..., 0], [[255, 0]])


def test_grey_pixels_are_one_channel_in_any_mode(tmp_path, numbers):
    grey = numbers.integers(0, 256, (5, 7), dtype=np.uint8)
    for mode, name in [("L", "a.png"), ("RGB", "b.png"), ("RGBA", "c.png"), ("P", "d.gif")]:
        Image.fromarray(grey).convert(mode).save(tmp_path / name)
        np.testing.assert_array_equal(native(tmp_path / name)[..., 0], grey)
        assert native(tmp_path / name).shape == (5, 7, 1)
    almost = np.repeat(grey[..., None], 3, axis=2)
    for channel in (0, 1, 2):
        changed = almost.copy()
        changed[2, 3, channel] ^= 1
        Image.fromarray(changed).save(tmp_path / "e.png")
        np.testing.assert_array_equal(native(tmp_path / "e.png"), changed)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    for name in ("a.gif", "a.webp", "a.tif", "a.png"):
        options = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(native(tmp_path / name), np.full((3, 4, 3), RED))


# Rotation


def test_orientation_six_is_a_quarter_turn_right(tmp_path, numbers):
    stored = numbers.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(native(tmp_path / "a.png"), np.rot90(stored, -1))


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_orientation_agrees_with_pillow(tmp_path, smooth, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth.resize((80, 60)).save(tmp_path / name, exif=exif)
    with Image.open(tmp_path / name) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(native(tmp_path / name), expected)


def test_rotation_comes_before_cropping(tmp_path):
    stored = np.zeros((2, 6, 3), dtype=np.uint8)
    stored[:, 4:] = RED
    exif = Image.Exif()
    exif[0x0112] = 6  # upright, the red part is the bottom third
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    whole = read_image(tmp_path / "a.png", size=(6, 2), channels=3)
    assert whole[0].tolist() == [[0, 0]] * 4 + [[255, 255]] * 2
    centre = read_image(tmp_path / "a.png", size=(4, 2), channels=3)
    assert centre[0].tolist() == [[0, 0]] * 3 + [[255, 255]]


# Size


def test_centre_crop_by_hand(tmp_path):
    row = np.array([[0, 10, 20, 30, 40]] * 2, dtype=np.uint8)
    Image.fromarray(row).save(tmp_path / "wide.png")
    Image.fromarray(row.T).save(tmp_path / "tall.png")
    wide = read_image(tmp_path / "wide.png", size=2, channels=1)
    tall = read_image(tmp_path / "tall.png", size=2, channels=1)
    assert wide.tolist() == [[[10, 20], [10, 20]]], "cropped, not resampled"
    assert_close(tall, wide.mT)


@pytest.mark.parametrize("size", [(60, 80), (64, 64), (32, 96), (100, 20)])
def test_resizing_agrees_with_torch(tmp_path, smooth, size):
    smooth.save(tmp_path / "a.png")
    got = read_image(tmp_path / "a.png", size=size, channels=3)
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
    got = read_image(tmp_path / "a.png", size=4, channels=1)[0, 1]
    assert got.tolist() == [10, 70, 190, 250]  # a quarter of the way, three quarters


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1)])
def test_extreme_shapes(tmp_path, shape):
    Image.fromarray(np.full(shape, 9, np.uint8)).save(tmp_path / "a.png")
    got = read_image(tmp_path / "a.png", size=(5, 40), channels=1)
    assert_close(got, torch.full((1, 5, 40), 9, dtype=torch.uint8))


def test_large_jpegs_are_decoded_at_a_smaller_scale(tmp_path, smooth, monkeypatch):
    """The shortcut changes values by a few levels at most."""
    smooth.resize((1600, 1200)).save(tmp_path / "a.jpg", quality=95)
    quick = read_image(tmp_path / "a.jpg", size=64, channels=3)
    drafts = []
    monkeypatch.setattr(Image.Image, "draft", lambda *args: drafts.append(args))
    from PIL.JpegImagePlugin import JpegImageFile

    monkeypatch.setattr(JpegImageFile, "draft", lambda *args: drafts.append(args))
    exact = read_image(tmp_path / "a.jpg", size=64, channels=3)
    assert drafts, "the shortcut was not tried"
    assert (quick.int() - exact.int()).abs().max() <= 4


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
        assert_close(read_image(tmp_path / source, size=side, channels=3), image)


# Channels


def test_channels_are_converted_and_said(tmp_path, numbers):
    colour = numbers.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.png")
    both = [tmp_path / "colour.png", tmp_path / "grey.png"]
    grey = read_images(both, size=(5, 4), channels=1)
    assert grey.notes == ("1 of 2 images are in colour and were converted to grey.",)
    oracle = np.array(Image.fromarray(colour).convert("L"))
    assert_close(grey.images[:, 0], torch.from_numpy(np.stack([oracle, colour[..., 0]])))
    repeated = read_images(both[1:], size=(5, 4), channels=3)
    assert repeated.notes == ("The images are grey: their one channel was repeated to make three.",)
    assert_close(repeated.images[0], torch.from_numpy(colour[..., 0]).expand(3, 5, 4).clone())
    assert read_images(both, size=(5, 4), channels=3).notes == ()
    assert read_images(both[1:], channels=1).notes == ()


def test_order_is_kept_over_many_threads(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(100)]
    for index, path in enumerate(paths):
        Image.new("L", (2, 2), index).save(path)
    images, notes = read_images(paths)
    assert images[:, 0, 0, 0].tolist() == list(range(100))
    assert images.shape == (100, 1, 2, 2)
    assert notes == ()


# Damaged files


def test_truncated_jpeg(tmp_path, smooth):
    smooth.save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"a\.jpg cannot be read as an image \(image file is trunc"
    ):
        read_image(tmp_path / "a.jpg", size=32, channels=3)


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.bmp", "a.ppm", "a.tga", "a.jp2"]
)
def test_damaged_files_give_the_one_error(tmp_path, numbers, name):
    array = numbers.integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    messages = []
    for cut in range(0, len(content), max(1, len(content) // 40)):
        (tmp_path / name).write_bytes(content[:cut])
        with contextlib.suppress(ValueError):
            read_image(tmp_path / name, size=8, channels=3)
            continue  # what was cut off was no pixel
        with pytest.raises(ValueError, match="cannot be read as an image") as caught:
            read_image(tmp_path / name, size=8, channels=3)
        messages.append(str(caught.value))
    assert len(messages) > 10
    assert all(message.startswith(f"{tmp_path / name} cannot be read") for message in messages)


def test_damaged_exif_does_not_matter(tmp_path, smooth):
    smooth.resize((20, 10)).save(tmp_path / "a.jpg", exif=b"Exif\0\0garbage and garbage")
    assert native(tmp_path / "a.jpg").shape == (10, 20, 3)


@pytest.mark.filterwarnings("default")  # as a user runs it
@pytest.mark.parametrize("limit", [11, 6, 5])
def test_decompression_bombs(tmp_path, monkeypatch, limit):
    """Pillow warns above its limit and raises above twice its limit; both are refused."""
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image .*1[12]"):
        read_image(tmp_path / "a.png", size=2, channels=3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    assert read_image(tmp_path / "a.png", size=2, channels=3).shape == (3, 2, 2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(tmp_path / "a.png", size=2, channels=3).shape == (3, 2, 2)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png must be an image file, there is no such"):
        read_image(tmp_path / "a.png", size=8, channels=3)
    with pytest.raises(ValueError, match=r"cannot be read as an image \(.*[Dd]irectory"):
        read_image(tmp_path, size=8, channels=3)


def test_options_are_checked(tmp_path):
    with pytest.raises(ValueError, match="size must be at least 1 pixel, got -1"):
        read_image(tmp_path / "a.png", size=(4, -1), channels=3)
    with pytest.raises(ValueError, match="channels must be 1"):
        read_image(tmp_path / "a.png", size=4, channels=0)
    with pytest.raises(ValueError, match="paths must name at least one image file, got none"):
        read_images([])
