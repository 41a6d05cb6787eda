"""Decode one image file into upright 8-bit pixels, whatever its mode, rotation and frames."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Pixels = NDArray[np.uint8]
"""Pixels of one image, `(H, W, C)` with C = 1 for grey and C = 3 for RGB."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".png", ".gif", ".webp", ".avif"),
    *(".tif", ".tiff", ".bmp", ".dib", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""File name endings, in lower case, that make a file an image."""

LARGEST_NATIVE = 96
"""Sides up to this many pixels may be kept as they are when no size is asked for."""

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

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise for files that are cut short, damaged or not images."""


class UnreadableImageError(ValueError):
    """A file cannot be read as an image."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read as an image ({reason}); replace or remove it.")
        self.path = path
        self.reason = reason


def decode(path: Path, *, size: tuple[int, int] | None, large_size: int) -> Pixels:
    """Read one file: EXIF rotation applied, alpha on white, first frame, 8 bits, cropped.

    An image whose pixels are all grey has one channel, in whatever mode it was saved. 16-bit
    values are scaled by their full range, never by what one image happens to contain.

    Args:
        path: an image file.
        size: (H, W) in pixels that the image is made to cover and is then cropped to; None keeps
            images of at most 96 pixels and makes larger ones squares of ``large_size``.
        large_size: pixels, see ``size``.

    Raises:
        FileNotFoundError: if there is no such file.
        UnreadableImageError: if the file cannot be read as an image; also if Pillow's limit on
            pixels is broken and the caller has made its warning an error.
    """
    try:
        with Image.open(path) as image:
            large = max(image.size) > LARGEST_NATIVE
            wanted = (large_size, large_size) if size is None and large else size
            if wanted is not None and large and image.format in {"JPEG", "MPO"}:
                side = 2 * max(wanted)
                image.draft(None, (side, side))  # decodes large photos at a fraction of the cost
            image.load()
            turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
            upright = image if turn is None else image.transpose(turn)
            flat = _flatten(upright)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} must be an image file, there is no such file.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *DAMAGED) as error:
        reason = "it is not an image file"
        if not isinstance(error, UnidentifiedImageError):
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UnreadableImageError(path, reason) from error
    pixels = np.asarray(flat if wanted is None else cover(flat, *wanted))
    if pixels.ndim == 2:
        return pixels[..., None]  # (H, W, 1)
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., :1] if grey else pixels


def cover(image: Image.Image, height: int, width: int) -> Image.Image:
    """Crop the centre of an L or RGB image and resize it, antialiased, to (height, width)."""
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)  # pixels per pixel of the result
    kept_width, kept_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - kept_width) // 2, (image.height - kept_height) // 2
    box = (left, top, left + kept_width, top + kept_height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box)


def list_conversions(image: Image.Image) -> list[str]:
    """Say in clauses what ``decode`` does to an opened image besides its size and rotation."""
    found = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        found.append(f"only the first of its {frames} frames counts")
    if image.mode.startswith("I"):
        found.append("its 16-bit values were brought to 8 bits")
    elif image.has_transparency_data:
        found.append("its transparent parts were put on white")
    elif image.mode not in {"1", "L", "P", "RGB"}:
        found.append(f"it was converted from {image.mode} to RGB")
    return found


def _flatten(image: Image.Image) -> Image.Image:
    """Convert any mode to L or RGB, with transparent parts on white."""
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its integers are not within 0 to 65535, save it with 8 or 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, save it with 8 or 16 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")
