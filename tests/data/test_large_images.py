"""Large images: decoded small where their format can, in little memory, to the same pixels."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers.image_files import read_one, read_whole
from whence.data.decode import decode
from whence.data.smaller import count_levels


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def smooth():
    """A 320 x 240 picture without fine detail."""
    tiny = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiny).resize((320, 240), Image.Resampling.BICUBIC)


MODES = {
    "L": "a.png",
    "RGB": "a.png",
    "RGBA": "a.png",
    "LA": "a.png",
    "P": "a.png",
    "CMYK": "a.tif",
    "I;16": "a.png",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_bands_of_rows_give_the_pixels_of_the_whole(
    tmp_path, numbers, monkeypatch, mode, orientation
):
    """Also at the borders of bands, and for bands that do not divide the rows."""
    samples = len(Image.new(mode, (1, 1)).getbands())
    shape = (150, 110, samples) if samples > 1 else (150, 110)
    kind = np.uint16 if mode == "I;16" else np.uint8
    pixels = numbers.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)
    image = Image.fromarray(pixels) if mode == "I;16" else Image.frombytes(mode, (110, 150), pixels)
    if mode == "P":
        image.putpalette(numbers.integers(0, 256, 768, dtype=np.uint8).tobytes())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / MODES[mode], exif=exif)
    for size in ((40, 31), (17, 90), (150, 110), (200, 160)):
        whole = decode(tmp_path / MODES[mode], size=size, large_size=64)
        with monkeypatch.context() as patch:
            patch.setattr("whence.data.decode.BAND", 110 * 23)
            banded = decode(tmp_path / MODES[mode], size=size, large_size=64)
        np.testing.assert_array_equal(banded.pixels, whole.pixels)
        assert banded[1:] == whole[1:]


@pytest.mark.parametrize("name", ["a.jpg", "a.jp2", "a.j2k"])
def test_large_photographs_are_decoded_at_a_smaller_scale(tmp_path, smooth, name):
    """The shortcut changes values by a few levels at most, and it is taken."""
    smooth.resize((1600, 1200)).save(tmp_path / name, quality=95)
    quick = read_one(tmp_path / name, size=64, channels=3).permute(1, 2, 0).numpy().astype(int)
    exact = read_whole(tmp_path / name, 64, 64).astype(int)
    assert 1 <= np.abs(quick - exact).max() <= 4


@pytest.mark.parametrize("resolutions", [1, 2, 3, 6])
def test_jpeg_2000_is_never_asked_for_more_than_it_has(tmp_path, smooth, resolutions):
    large = smooth.resize((1600, 1200))
    for name in ("a.jp2", "a.j2k"):
        large.save(tmp_path / name, num_resolutions=resolutions)
        with Image.open(tmp_path / name) as image:
            assert count_levels(image) == resolutions - 1
        quick = read_one(tmp_path / name, size=64, channels=3).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(quick - read_whole(tmp_path / name, 64, 64)).max() <= 4


def test_a_header_without_a_coding_style_has_no_levels(tmp_path):
    Image.new("L", (200, 200)).save(tmp_path / "a.j2k", num_resolutions=3)
    content = (tmp_path / "a.j2k").read_bytes()
    (tmp_path / "a.j2k").write_bytes(content.replace(b"\xff\x52", b"\xff\x55"))
    with Image.open(tmp_path / "a.j2k") as image:
        assert count_levels(image) == 0
    (tmp_path / "a.j2k").write_bytes(content.replace(b"\xff\x52", b"\xff\x53\0\x02\xff\x52"))
    with Image.open(tmp_path / "a.j2k") as image:
        assert count_levels(image) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from Linux")
@pytest.mark.parametrize("mode, most", [("I;16", 4), ("RGBA", 9)])
def test_memory_is_little_more_than_the_decoded_file(tmp_path, mode, most):
    """Bytes a pixel: decoded I;16 takes 2 and RGBA 4, their way to 8 bits took 20 and more."""
    Image.new(mode, (6000, 5000)).save(tmp_path / "a.png", compress_level=1)
    code = (
        "import resource, sys, pathlib; from whence.data.decode import decode\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "path, before = pathlib.Path(sys.argv[1]), peak()\n"
        "decode(path, size=(32, 32), large_size=64); print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < most * 6000 * 5000
