"""Image files that tests write and read one at a time."""

import struct
import zlib

import numpy as np
from PIL import Image

from whence.data.decode import cover, decode
from whence.data.image_file import read_files


def native(path):
    """The pixels `(H, W, C)` of a file in its own size, if it is small."""
    return decode(path, size=None, large_size=64).pixels


def read_one(path, *, size, channels):
    """One file as a model of known size and channels sees it: `(C, H, W)` uint8."""
    return read_files([path], size=size, channels=channels).images[0]


def read_whole(path, height, width):
    """The same by Pillow alone, which decodes all of the file: `(H, W, 3)`."""
    with Image.open(path) as image:
        return np.asarray(cover(image.convert("RGB"), height, width))


def write_pictures(folder, sizes, *, seed=0):
    """Write random colour images of sizes (width, height) to files below a folder."""
    numbers = np.random.default_rng(seed)
    for name, (width, height) in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        array = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / name)


def png_bytes(width, depth, colour_type, rows, transparent=None):
    """A PNG of samples that Pillow cannot write: 16-bit colour, or a transparent 16-bit colour."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    kind = ">B" if depth == 8 else ">H"
    lines = b"".join(b"\0" + b"".join(struct.pack(kind, v) for v in row) for row in rows)
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head)]
    if transparent is not None:
        parts.append(chunk(b"tRNS", b"".join(struct.pack(">H", v) for v in transparent)))
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
