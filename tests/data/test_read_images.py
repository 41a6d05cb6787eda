"""The public reader gives, for whatever people hold, the pixels that a training folder gives."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import whence
from tests.helpers.image_files import read_whole, write_pictures
from whence.data.image_file import read_files

LIKE, GREY = SimpleNamespace(image_shape=(3, 6, 8)), SimpleNamespace(image_shape=(1, 6, 8))


def exact(found, expected):
    assert found.dtype == expected.dtype == torch.uint8
    assert_close(found, expected, rtol=0, atol=0)


@pytest.fixture
def picture(rng):
    pixels = torch.randint(0, 256, (20, 30, 3), generator=rng, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def read(image, like=LIKE):
    return whence.read_images(image, like=like).images


def by_file(image, path, like=LIKE, **options):
    """The pixels of the same image by way of a file."""
    image.save(path, **options)
    channels, height, width = like.image_shape
    return read_files([path], size=(height, width), channels=channels).images


def test_files_are_read_as_a_training_folder_is(tmp_path):
    sizes = {"a/1.png": (40, 30), "a/2.jpg": (500, 400), "b/3.png": (8, 6)}
    write_pictures(tmp_path, sizes)
    found = whence.read_images(tmp_path, like=LIKE)
    paths = [tmp_path / name for name in sizes]
    exact(found.images, read_files(paths, size=(6, 8), channels=3).images)
    assert [file.path for file in found.files] == paths
    assert [(file.width, file.height) for file in found.files] == list(sizes.values())
    assert found.notes == (
        f"2 of 3 images were resized to 8 x 6 pixels, 1 of them cropped to the middle (first: {paths[0]}, 40 x 30).",
    )
    (note,) = whence.read_images(paths[0], like=LIKE).notes
    assert note == "The image was resized from 40 x 30 to 8 x 6 pixels."
    (note,) = whence.read_images(paths[1], like=LIKE).notes
    assert note.endswith(" 500 x 400 to 8 x 6 pixels, cropped to the middle.")
    exact(
        found.images[:1], torch.from_numpy(read_whole(paths[0], 6, 8).copy()).permute(2, 0, 1)[None]
    )


def test_what_a_folder_holds_besides_is_said(tmp_path):
    write_pictures(tmp_path, {"a.png": (8, 6)})
    for name in ("below/2.HEIC", "1.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = whence.read_images([tmp_path], like=LIKE)
    assert len(found.images) == 1
    assert found.notes == (
        f"Of {tmp_path}, 2 files are left out (first: '1.txt'), named unlike images that are read "
        "(.jpg, .png, .tif and others).",
    )


def test_an_image_in_memory_is_what_its_file_is(picture, tmp_path):
    exact(read(picture), by_file(picture, tmp_path / "a.png"))
    exact(read(np.asarray(picture)), by_file(picture, tmp_path / "a.png"))
    exact(read(torch.from_numpy(np.array(picture)).permute(2, 0, 1)), read(picture))
    exact(read(picture, GREY), by_file(picture, tmp_path / "a.png", GREY))


@pytest.mark.parametrize(
    "mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "I;16", "PA"]
)
def test_every_mode(picture, tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray((np.asarray(picture.convert("L")).astype(np.uint16) << 8) + 7)
    else:
        image = picture.convert(mode)
    if "A" in mode:
        alpha = np.arange(600, dtype=np.uint16).reshape(20, 30) % 256
        image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    suffix = {"CMYK": "tif", "YCbCr": "tif", "PA": "tif"}.get(mode, "png")
    found = whence.read_images(image, like=LIKE)
    if mode not in ("HSV", "PA"):  # no file has them
        exact(found.images, by_file(image, tmp_path / f"a.{suffix}"))
    if "A" in mode:
        assert "Transparent parts were put on white in the image." in found.notes


def test_rotation_and_frames(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    expected = by_file(picture, tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        found = whence.read_images(opened, like=LIKE)
    exact(found.images, expected)
    assert (found.files[0].width, found.files[0].height) == (20, 30)
    assert not torch.equal(expected, read(picture))


def test_an_image_of_the_users_is_left_as_it_is(picture, tmp_path):
    image = picture.convert("RGBA")
    before = image.tobytes(), image.size, image.mode, dict(image.info)
    read(image)
    assert (image.tobytes(), image.size, image.mode, dict(image.info)) == before
    picture.save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as opened:
        read(opened)
        assert opened.size == (30, 20)
        read(opened)


def test_arrays_of_every_size_and_layout(picture, rng):
    pixels = np.asarray(picture)
    expected = read(picture)
    for image in (pixels, pixels.transpose(2, 0, 1), torch.from_numpy(pixels.copy())):
        exact(read(image), expected)
        exact(read(image[None]), expected)
    exact(read([pixels, pixels[None].repeat(2, 0)]), expected.repeat(3, 1, 1, 1))
    grey = pixels[..., 0]
    exact(read(grey, GREY), read(Image.fromarray(grey), GREY))
    exact(read(np.stack([grey] * 5), GREY), read(grey, GREY).repeat(5, 1, 1, 1))
    exact(read(grey), read(grey, GREY).repeat(1, 3, 1, 1))
    alpha = np.dstack([pixels, np.full((20, 30), 90, np.uint8)])
    exact(read(alpha), read(Image.fromarray(alpha)))


def test_floats_count_as_eight_bits(picture):
    pixels = np.asarray(picture)
    found = whence.read_images(pixels / 255, like=LIKE)
    exact(found.images, read(picture))
    assert not any("Floats" in note for note in found.notes)
    rounded = whence.read_images([pixels / 255, (pixels / 255) ** 0.5], like=LIKE)
    assert "Floats were rounded to 8 bits in 1 of 2 images (first: image 1)." in rounded.notes
    with pytest.raises(ValueError, match=r"floats in \[0, 1\], got floats from 0 to 255"):
        read(pixels.astype(np.float32))
    with pytest.raises(
        TypeError, match=r"images must be uint8 or floats in \[0, 1\], got torch.int64"
    ):
        read(pixels.astype(np.int64))


@pytest.mark.parametrize(
    ("image", "like", "message"),
    [
        (np.zeros((3, 20, 3), np.uint8), LIKE, r"image 0 must show which axis .* \(3, 20, 3\) does not; pass torch"),
        (np.zeros((3, 20, 30), np.uint8), GREY, r"image 0 must show which axis .* \(3, 20, 30\)"),
        (np.zeros((2, 5, 20, 30), np.uint8), LIKE, r"axis of 1, 3 or 4 channels, .* \(2, 5, 20, 30\)"),
        (np.zeros(5, np.uint8), LIKE, r"image 0 must be one image or a batch of them, got shape \(5,\)"),
        ([], LIKE, "images must hold at least one image, got none"),
    ],
)  # fmt: skip
def test_shapes_that_are_refused(image, like, message):
    with pytest.raises(ValueError, match=message):
        read(image, like)
    if isinstance(image, np.ndarray) and image.shape[0] == 3:
        assert read(torch.from_numpy(image), like).shape == (1, *like.image_shape)


def test_others_are_refused(picture, tmp_path):
    with pytest.raises(
        TypeError, match=r"image 1 must be a tensor, an array, a PIL image, .* got dict"
    ):
        read([picture, {}])
    with pytest.raises(FileNotFoundError, match=r"missing.png must be an image file"):
        read([picture, "missing.png"])
    (tmp_path / "bad.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"bad.png cannot be read as an image"):
        read([tmp_path / "bad.png", picture])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no image"):
        read(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"image 0 cannot be read .*floating-point numbers"):
        read(Image.fromarray(np.zeros((5, 5), np.float32)))
