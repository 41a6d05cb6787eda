"""Decode one image file into upright 8-bit pixels, whatever its mode, rotation and frames."""

import threading
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from whence.data.changes import Change, darken, has_sixteen_bits, list_changes
from whence.data.open_image import open_image
from whence.data.reader_warnings import describe_heard, listen, listen_to_libtiff
from whence.data.smaller import decode_smaller

Pixels = NDArray[np.uint8]
"""Pixels of one image, `(H, W, C)` with C = 1 for grey and C = 3 for RGB."""

LARGEST_NATIVE = 96
"""Sides up to this many pixels may be kept as they are when no size is asked for."""

HUGE = 2**24
"""Images of more pixels are decoded one at a time, which bounds the memory that threads take."""

BAND = 2**20
"""Pixels that are converted at a time, which bounds the memory that a conversion takes."""

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of the EXIF orientation."""

ON_SIDE = frozenset(UPRIGHT[value] for value in (5, 6, 7, 8))
"""Those that make columns of the file to rows of the image."""

FROM_END = frozenset(UPRIGHT[value] for value in (3, 4, 7, 8))
"""Those that make the last row, or column, of the file to the first row of the image."""

WHITE = 255
HIGHEST = 2**16 - 1
"""The largest 16-bit value."""

_one_huge_image = threading.Lock()


class Decoded(NamedTuple):
    """One image from a file, and what a user should know of the way here."""

    pixels: Pixels
    height: int
    """Rows of the image in the file, upright."""
    width: int
    """Columns of the image in the file, upright."""
    changes: tuple[Change, ...]


def decode(path: Path, *, size: tuple[int, int] | None, large_size: int) -> Decoded:
    """Read one file: EXIF rotation applied, alpha on white, first frame, 8 bits, cropped.

    An image whose pixels are all grey has one channel, in whatever mode it was saved. 16-bit
    values are scaled by their full range, never by what one image happens to contain. Memory is
    what the decoded file takes, as much again at most, and a few megabytes.

    Args:
        path: an image file.
        size: (H, W) in pixels that the image is made to cover and is then cropped to; None keeps
            images of at most 96 pixels and makes larger ones squares of ``large_size``.
        large_size: pixels of a side of these squares.

    Raises:
        FileNotFoundError: if there is no such file.
        UnreadableImageError: if the file cannot be read as an image; also if Pillow's limit on
            pixels is broken and the caller has made its warning an error.
    """
    with listen() as heard, open_image(path, heard) as image:
        wide, high = image.size
        changes, sixteen_bits = list_changes(image), has_sixteen_bits(image)
        large = max(wide, high) > LARGEST_NATIVE
        wanted = (large_size, large_size) if size is None and large else size
        if wanted is not None and large:
            decode_smaller(image, 2 * max(wanted))
        with _one_huge_image if image.width * image.height > HUGE else nullcontext():
            load(image, heard)
            turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
            if sixteen_bits:
                changes = darken(changes, find_highest(image))
                lower_transparent_colour(image)
            flat = flatten(image, turn)
            if wanted is not None:
                flat = cover(flat, *wanted)
    changes += [Change("warning", clause) for clause in describe_heard(heard)]
    if turn in ON_SIDE or (image.format == "TIFF" and image.width != wide):  # turned by Pillow
        wide, high = high, wide
    return Decoded(only_channels(np.asarray(flat)), high, wide, tuple(changes))


def load(image: ImageFile, heard: list[str]) -> None:
    """Decode the first frame; libtiff's messages are heard, others' readers have none."""
    by_libtiff = bool(image.tile) and image.tile[0].codec_name == "libtiff"
    with listen_to_libtiff(heard) if by_libtiff else nullcontext():
        image.load()


def find_highest(image: Image.Image) -> int:
    """Find the largest value, in 0 .. 65535, of an image that has 16 bits a channel in its file.

    Of those that Pillow brings to 8 bits a channel itself, the lower bits are taken to be ones.

    Raises:
        ValueError: if it has numbers outside that range.
    """
    if image.mode in {"RGB", "RGBA"}:
        highest = max(int(np.max(extrema)) for extrema in image.getextrema()[:3])  # alpha left out
        return highest << 8 | 0xFF if highest else 0
    if not image.mode.startswith("I"):
        return HIGHEST
    low, high = 0, 0
    for first, last in list_bands(*image.size):
        values = np.asarray(image.crop((0, first, image.width, last)))
        low, high = min(low, int(values.min())), max(high, int(values.max()))
    if low < 0 or high > HIGHEST:
        raise ValueError("its integers are not within 0 to 65535, save it with 8 or 16 bits")
    return high


def lower_transparent_colour(image: Image.Image) -> None:
    """Bring the transparent colour of an RGB image to the 8 bits that Pillow brought its pixels to.

    Pixels that differ from it in the lower bits only become transparent as well.
    """
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)


def flatten(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Turn an image upright and bring it to L or RGB, one band of rows after the other.

    Args:
        image: decoded, of any mode.
        turn: what makes it upright, if anything.
    """
    if turn is None and is_plain(image):
        return image
    width, height = image.size[::-1] if turn in ON_SIDE else image.size
    bands = list_bands(width, height)
    parts = (to_grey_or_rgb(cut_rows(image, turn, first, last)) for first, last in bands)
    upmost = next(parts)
    if len(bands) == 1:
        return upmost
    flat = Image.new(upmost.mode, (width, height))
    for (first, _), part in zip(bands, chain([upmost], parts), strict=True):
        flat.paste(part, (0, first))
    return flat


def list_bands(width: int, height: int) -> list[tuple[int, int]]:
    """Divide rows into bands of about ``BAND`` pixels: first row and the row after the last."""
    rows = max(1, BAND // width)
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def cut_rows(
    image: Image.Image, turn: Image.Transpose | None, first: int, last: int
) -> Image.Image:
    """Cut rows ``first`` to ``last`` out of what the whole image is when it is turned upright."""
    length = image.width if turn in ON_SIDE else image.height
    if turn in FROM_END:
        first, last = length - last, length - first
    if turn in ON_SIDE:
        band = image.crop((first, 0, last, image.height))
    else:
        band = image.crop((0, first, image.width, last))
    return band if turn is None else band.transpose(turn)


def cover(image: Image.Image, height: int, width: int) -> Image.Image:
    """Crop the centre of an L or RGB image and resize it, antialiased, to (height, width)."""
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)  # pixels per pixel of the result
    kept_width, kept_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - kept_width) // 2, (image.height - kept_height) // 2
    box = (left, top, left + kept_width, top + kept_height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box)


def is_plain(image: Image.Image) -> bool:
    """Say whether an image is grey or RGB in 8 bits, and no part of it is transparent."""
    return image.mode in {"L", "RGB"} and "transparency" not in image.info


def to_grey_or_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to L or RGB, with transparent parts on white.

    Raises:
        ValueError: if the pixels are floating-point numbers.
    """
    if is_plain(image):
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int32)  # in 0 .. 65535
        grey = ((values + 128) // 257).astype(np.uint8)
        transparent = image.info.get("transparency")
        if transparent is not None:
            grey[values == transparent] = WHITE
        return Image.fromarray(grey)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, save it with 8 or 16 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def only_channels(pixels: Pixels) -> Pixels:
    """Give grey pixels one channel, `(H, W, 1)`, whether they come with one, three or no axis."""
    if pixels.ndim == 2:
        return pixels[..., None]  # (H, W, 1)
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., :1] if grey else pixels
