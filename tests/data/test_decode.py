"""The pixels of one image file: every mode, rotation and size."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.helpers.image_files import native, png_bytes, read_one
from whence.data.decode import decode
from whence.data.image_file import read_files

RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def smooth():
    """A 320 x 240 picture without fine detail."""
    tiny = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiny).resize((320, 240), Image.Resampling.BICUBIC)


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


def test_a_transparent_colour_of_sixteen_bits_is_put_on_white(tmp_path):
    (tmp_path / "grey.png").write_bytes(png_bytes(3, 16, 0, [(0, 1000, 65535)], [1000]))
    np.testing.assert_array_equal(native(tmp_path / "grey.png")[..., 0], [[0, 255, 255]])
    key = (0x1234, 0x5678, 0x9ABC)
    (tmp_path / "rgb.png").write_bytes(png_bytes(2, 16, 2, [(*key, 257, 514, 771)], key))
    np.testing.assert_array_equal(native(tmp_path / "rgb.png"), [[WHITE, (1, 2, 3)]])


@pytest.mark.parametrize(
    "colour_type, row, clause",
    [
        (0, (0, 65535), "its 16-bit values were brought to 8 bits"),
        (0, (4096, 0), "its 16-bit values were brought to 8 bits"),
        (0, (4095, 0), "its 16-bit values use 12 bits, so that at 8 bits it is almost black"),
        (0, (255, 1), "its 16-bit values use 8 bits, so that at 8 bits it is almost black"),
        (0, (0, 0), "its 16-bit values were brought to 8 bits"),
        (2, (0, 0, 0, 1, 4096, 0), "its 16-bit values were brought to 8 bits"),
        (2, (0, 0, 0, 1, 4095, 0), "its 16-bit values use 12 bits, so that at 8 bits it is almost"),
        (6, (9, 9, 500, 65535) * 2, "its 16-bit values use 9 bits, so that at 8 bits it is almost"),
    ],
)
def test_sixteen_bits_that_hardly_use_their_range_are_said(tmp_path, colour_type, row, clause):
    (tmp_path / "a.png").write_bytes(png_bytes(2, 16, colour_type, [row]))
    changes = decode(tmp_path / "a.png", size=None, large_size=64).changes
    assert changes[0].clause.startswith(clause)


def test_eight_bits_are_no_change(tmp_path):
    for mode in ("L", "RGB", "P", "1"):
        Image.new(mode, (3, 2)).save(tmp_path / "a.png")
        found = decode(tmp_path / "a.png", size=None, large_size=64)
        assert (found.height, found.width, found.changes) == (2, 3, ())


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
    whole = read_one(tmp_path / "a.png", size=(6, 2), channels=3)
    assert whole[0].tolist() == [[0, 0]] * 4 + [[255, 255]] * 2
    centre = read_one(tmp_path / "a.png", size=(4, 2), channels=3)
    assert centre[0].tolist() == [[0, 0]] * 3 + [[255, 255]]


# Notes on many


def test_changes_are_counted_once_for_each_kind(tmp_path):
    for name, row in (("a", (65535, 0)), ("b", (4000, 0)), ("c", (100, 0))):
        (tmp_path / f"{name}.png").write_bytes(png_bytes(2, 16, 0, [row]))
    Image.new("RGBA", (2, 1)).save(tmp_path / "d.png")
    Image.new("CMYK", (2, 1), (0, 99, 0, 0)).save(tmp_path / "e.tif")
    more = [Image.new("L", (2, 1), 200)]
    Image.new("L", (2, 1)).save(tmp_path / "f.gif", save_all=True, append_images=more)
    paths = sorted(tmp_path.iterdir())
    assert read_files(paths).notes == (
        f"Only the first of several frames counts in 1 of 6 images (first: {tmp_path}/f.gif).",
        f"16-bit values were brought to 8 bits in 1 of 6 images (first: {tmp_path}/a.png).",
        f"16-bit values were brought to 8 bits in 2 of 6 images (first: {tmp_path}/b.png), which "
        "are almost black, because they use at most 12 bits; stretch their values to 16 bits or "
        "save them with 8.",
        f"Transparent parts were put on white in 1 of 6 images (first: {tmp_path}/d.png).",
        f"Colours were converted to RGB in 1 of 6 images (first: {tmp_path}/e.tif).",
    )
