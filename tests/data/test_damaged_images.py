"""Files that are no images, damaged, of another format or no files: one sentence each."""

import contextlib
import os
import socket

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from tests.helpers.image_files import native, read_one
from whence.data.image_file import read_files, read_readable
from whence.data.names import SUFFIXES
from whence.data.open_image import FORMATS
from whence.data.reader_warnings import describe_heard, listen_to_libtiff


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def smooth():
    """A 320 x 240 picture without fine detail."""
    tiny = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiny).resize((320, 240), Image.Resampling.BICUBIC)


# Damaged files


def test_truncated_jpeg(tmp_path, smooth):
    smooth.save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ValueError, match=r"a\.jpg cannot be read as an image \(image file is trunc"
    ):
        read_one(tmp_path / "a.jpg", size=32, channels=3)


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
            read_one(tmp_path / name, size=8, channels=3)
            continue  # what was cut off was no pixel
        with pytest.raises(ValueError, match="cannot be read as an image") as caught:
            read_one(tmp_path / name, size=8, channels=3)
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
        read_one(tmp_path / "a.png", size=2, channels=3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    assert read_one(tmp_path / "a.png", size=2, channels=3).shape == (3, 2, 2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_one(tmp_path / "a.png", size=2, channels=3).shape == (3, 2, 2)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png must be an image file, there is no such"):
        read_one(tmp_path / "a.png", size=8, channels=3)
    with pytest.raises(ValueError, match=r"cannot be read as an image \(it is no regular file\)"):
        read_one(tmp_path, size=8, channels=3)


# Other formats, and what is no file


OTHERS = {
    "EPS": "RGB",
    "ICO": "RGBA",
    "PCX": "RGB",
    "MSP": "1",
    "SGI": "RGB",
    "PDF": "1",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_formats_are_not_decoded_whatever_they_are_called(tmp_path, kind):
    Image.new(OTHERS[kind], (40, 40)).save(tmp_path / "a.png", kind)
    with pytest.raises(ValueError, match=r"\(it is not an image file of a format that is read\)"):
        read_one(tmp_path / "a.png", size=8, channels=3)


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    """Ghostscript is the first program of that name in PATH; this one leaves a trace."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\n: > {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(OSError, match=r"\w"), Image.open(tmp_path / "a.png") as image:
        image.load()
    assert (tmp_path / "started").exists(), "Pillow alone would start it"
    (tmp_path / "started").unlink()
    with pytest.raises(ValueError, match="not an image file"):
        read_one(tmp_path / "a.png", size=8, channels=3)
    assert not (tmp_path / "started").exists()


def test_every_ending_is_of_a_format_that_is_read(tmp_path):
    Image.init()
    of_ending = {ending: Image.EXTENSION[ending] for ending in SUFFIXES}
    assert {kind.replace("MPO", "JPEG") for kind in of_ending.values()} | {"DIB"} == set(FORMATS)
    for ending, kind in of_ending.items():
        Image.new("RGB", (4, 3), (9, 200, 30)).save(tmp_path / f"a{ending}", kind)
        assert read_one(tmp_path / f"a{ending}", size=(3, 4), channels=3).shape == (3, 3, 4)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and sockets in folders")
def test_pipes_devices_and_sockets_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        for name in ("pipe.png", "device.png", "socket.png"):
            with pytest.raises(ValueError, match=rf"{name} cannot be .* \(it is no regular file\)"):
                read_one(tmp_path / name, size=8, channels=3)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_so(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(
        ValueError, match=r"a\.png cannot be read as an image \(permission denied\)"
    ):
        read_one(tmp_path / "a.png", size=8, channels=3)


def test_the_files_that_can_be_read_are_read(tmp_path):
    Image.new("L", (4, 3), 7).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    Image.new("L", (4, 3), 9).save(tmp_path / "d.png")
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    found, problems = read_readable(paths, size=(3, 4), channels=1)
    assert found.images[:, 0, 0, 0].tolist() == [7, 9]
    assert [file.path.name for file in found.files] == ["a.png", "d.png"]
    assert sorted(problems) == [1, 2]
    assert "b.png cannot be read as an image" in str(problems[1])
    assert "c.png must be an image file, there is no such file" in str(problems[2])
    none, problems = read_readable(paths[1:3], size=(3, 4), channels=3)
    assert (none.images.shape, sorted(problems)) == ((0, 3, 3, 4), [0, 1])


# What readers say


@pytest.fixture
def damaged_tiff(tmp_path, numbers):
    """A TIFF whose packed pixels do not add up; libtiff says so on the terminal."""
    path = tmp_path / "a.tif"
    pixels = numbers.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compression="tiff_deflate")
    content = bytearray(path.read_bytes())
    content[200:260] = b"\xff" * 60
    path.write_bytes(content)
    return path


def test_what_libtiff_says_is_the_reason_and_not_on_the_terminal(damaged_tiff, capfd):
    with pytest.raises(
        ValueError, match=r"\(decoder error -2; ZIPDecode: Decoding error at .*\); re"
    ):
        read_one(damaged_tiff, size=8, channels=3)
    assert capfd.readouterr().err == ""


def test_what_others_write_to_the_terminal_meanwhile_is_not_lost(capfd):
    heard = []
    with listen_to_libtiff(heard):
        os.write(2, b"JPEGLib: Unsupported marker type 0xf2.\nepoch 3 done\n")
    assert describe_heard(heard * 3) == ["JPEGLib: Unsupported marker type 0xf2"]
    assert capfd.readouterr().err == "epoch 3 done\n"
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_warnings_of_readers_become_one_counted_note(tmp_path, smooth, recwarn):
    for name in ("a.jpg", "b.jpg"):
        smooth.resize((20, 10)).save(tmp_path / name, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05garbage")
    smooth.resize((20, 10)).save(tmp_path / "c.jpg")
    notes = read_files([tmp_path / f"{name}.jpg" for name in "abc"]).notes
    assert notes == (
        "The reader of images warned of metadata or of damage in 2 of 3 images (first: "
        f"{tmp_path}/a.jpg: Corrupt EXIF data. Expecting to read 12 bytes but only got 7).",
    )
    assert not recwarn.list
