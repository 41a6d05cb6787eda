"""What reading a file changed in its image besides size and rotation, for notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Change(NamedTuple):
    """One thing that reading a file changed, or that its reader warned of."""

    kind: str
    """A key of ``IN_MANY``."""
    clause: str
    """What was done to this image, as in "its transparent parts were put on white"."""


IN_MANY = {
    "frames": "Only the first of several frames counts in {}.",
    "sixteen bits": "16-bit values were brought to 8 bits in {}.",
    "dark": (
        "16-bit values were brought to 8 bits in {}, which are almost black, because they use "
        "at most 12 bits; stretch their values to 16 bits or save them with 8."
    ),
    "transparency": "Transparent parts were put on white in {}.",
    "colours": "Colours were converted to RGB in {}.",
    "floats": "Floats were rounded to 8 bits in {}.",
    "warning": "The reader of images warned of metadata or of damage in {}.",
}
"""Each kind of change with the sentence about all images that it happened to."""

DARK = 2**12
"""An image whose 16-bit values are all below this number uses 12 bits or less."""


def has_sixteen_bits(image: Image.Image) -> bool:
    """Say whether an opened image that is not yet decoded has 16 bits a channel.

    Pillow shows some of these with 8 bits; only the name of the layout in the file tells them.
    """
    if image.mode.startswith("I"):
        return True
    tiles = getattr(image, "tile", None)
    if not tiles:
        return False
    layout = tiles[0].args
    return ";16" in str(layout if isinstance(layout, str) or not layout else layout[0])


def list_changes(image: Image.Image) -> list[Change]:
    """List what decoding will change in an opened image that is not yet decoded."""
    found = []
    if getattr(image, "is_animated", False):  # to count the frames is to read the whole file
        found.append(Change("frames", "only the first of its frames counts"))
    if has_sixteen_bits(image):
        found.append(Change("sixteen bits", "its 16-bit values were brought to 8 bits"))
    if image.has_transparency_data:
        found.append(Change("transparency", "its transparent parts were put on white"))
    elif image.mode not in {"1", "L", "P", "RGB"} and not image.mode.startswith("I"):
        found.append(Change("colours", f"it was converted from {image.mode} to RGB"))
    return found


def darken(changes: list[Change], highest: int) -> list[Change]:
    """Say of 16-bit values that are all below ``DARK`` that the image is almost black.

    Args:
        changes: of one image.
        highest: its largest value, in 0 .. 65535; an image that is black all over passes.
    """
    if highest == 0 or highest >= DARK:
        return changes
    bits = "1 bit" if highest == 1 else f"{highest.bit_length()} bits"
    clause = f"its 16-bit values use {bits}, so that at 8 bits it is almost black"
    return [Change("dark", clause) if c.kind == "sixteen bits" else c for c in changes]


def count_changes(changes: Sequence[Sequence[Change]], paths: Sequence[Path]) -> tuple[str, ...]:
    """Say in one sentence a kind how many images were changed, and which is the first of several.

    Args:
        changes: of each image.
        paths: of each image.
    """
    notes = []
    for kind, sentence in IN_MANY.items():
        having = [place for place, own in enumerate(changes) if kind in (c.kind for c in own)]
        if having:
            first, own = str(paths[having[0]]), changes[having[0]]
            told = next(change.clause for change in own if change.kind == kind)
            warned = f": {told}" if kind == "warning" else ""
            where = f"{len(having)} of {len(paths)} images (first: {first}{warned})"
            if len(paths) == 1:
                where = f"the image ({told})" if warned else "the image"
            notes.append(sentence.format(where))
    return tuple(notes)
