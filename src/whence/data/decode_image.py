"""An image that is already in memory, as upright 8-bit pixels: what ``decode`` does with a file."""

from pathlib import Path

import numpy as np
from PIL import Image

from whence.data.changes import darken, has_sixteen_bits, list_changes
from whence.data.decode import (
    ORIENTATION,
    UPRIGHT,
    Decoded,
    cover,
    find_highest,
    flatten,
    lower_transparent_colour,
    only_channels,
)
from whence.data.open_image import DAMAGED, UnreadableImageError
from whence.messages import describe_failure


def decode_image(image: Image.Image, name: Path, *, size: tuple[int, int]) -> Decoded:
    """Bring a PIL image to upright 8-bit pixels: alpha on white, the middle, resized.

    Args:
        image: not changed, but for being loaded if it was opened from a file just now.
        name: for messages.
        size: (H, W) that it is made to cover and then cropped to.

    Raises:
        UnreadableImageError: if its file is damaged, or its pixels are not within 8 or 16 bits.
    """
    try:
        changes, sixteen_bits = list_changes(image), has_sixteen_bits(image)
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        held = image.copy()  # decodes it
        if sixteen_bits:
            changes = darken(changes, find_highest(held))
            lower_transparent_colour(held)
        upright = flatten(held, turn)
    except DAMAGED as error:
        raise UnreadableImageError(name, describe_failure(error)) from error
    pixels = only_channels(np.asarray(cover(upright, *size)))
    return Decoded(pixels, upright.height, upright.width, tuple(changes))
