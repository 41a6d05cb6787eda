"""Decode large photographs at a fraction of their size, where their format can."""

import os
from pathlib import Path

from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

HEAD = 2**16
"""Bytes at the start of a JPEG 2000 file in which its header is looked for."""

START, CODING, COMPONENT, TILE = b"\xff\x4f", b"\xff\x52", b"\xff\x53", b"\xff\x90"
"""Markers of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A)."""

FINER = 2
"""JPEG 2000 halves an image by taking every second value, which moves it by half of a small pixel.

Decoded this much larger than a photograph in JPEG, it is moved by little at the size asked for.
"""

LEVELS_AT = 9
"""Where, after its marker, the coding style says how often the image was halved."""


def decode_smaller(image: ImageFile, side: int) -> None:
    """Have an opened image decoded at half, quarter, ... size, both sides at least ``side``.

    JPEG and JPEG 2000 can; the others stay as they are.
    """
    if image.format in {"JPEG", "MPO"}:
        image.draft(None, (side, side))
    elif isinstance(image, Jpeg2KImageFile):
        halvings = (min(image.size) // (FINER * side)).bit_length() - 1
        image.reduce = min(max(halvings, 0), count_levels(image))


def count_levels(image: Jpeg2KImageFile) -> int:
    """Read how often a JPEG 2000 image can be halved; 0 where that is not one plain number."""
    with Path(os.fsdecode(image.filename)).open("rb") as file:
        head = file.read(HEAD)
    at = head.find(START + b"\xff\x51") + len(START)
    levels = 0
    while at >= len(START) and (marker := head[at : at + 2]) not in (TILE, b""):
        if marker == COMPONENT:  # its own number for one of the channels
            return 0
        if marker == CODING:
            levels = int.from_bytes(head[at + LEVELS_AT : at + LEVELS_AT + 1])
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return levels
