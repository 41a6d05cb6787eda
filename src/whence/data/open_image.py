"""Open image files: which formats are decoded, and what is refused."""

import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from whence.data.reader_warnings import describe_heard
from whence.messages import describe_failure

FORMATS = (
    *("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000"),
    "TGA",  # last, because nothing at the start of such a file says what it is
)
"""Formats that are decoded, whatever the name ends in; of the others no reader is started."""

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


@contextmanager
def open_image(path: Path, heard: Sequence[str] = ()) -> Iterator[ImageFile]:
    """Open a regular file of one of ``FORMATS``; what goes wrong with it inside is one error.

    Args:
        path: an image file.
        heard: what its reader says inside, which becomes part of the reason.

    Raises:
        FileNotFoundError: if there is no such file.
        UnreadableImageError: if the file cannot be read as an image; also if Pillow's limit on
            pixels is broken and the caller has made its warning an error.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise UnreadableImageError(path, "it is no regular file")
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} must be an image file, there is no such file.") from error
    except UnreadableImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *DAMAGED) as error:
        reason = "it is not an image file of a format that is read"
        if not isinstance(error, UnidentifiedImageError):
            reason = "; ".join([describe_failure(error), *describe_heard(heard)])
        raise UnreadableImageError(path, reason) from error
