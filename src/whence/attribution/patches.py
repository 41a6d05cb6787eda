"""Which pixels are hidden or shown together: windows that may overlap, or a grid of patches."""

from typing import TypeAlias

import torch
from torch import Tensor

from whence.bounds import check_number
from whence.messages import quote

Sides: TypeAlias = int | tuple[int, int]
"""Height and width in pixels; one number is both."""


def find_sides(
    name: str, sides: Sides | None, largest: tuple[int, int], *, share: int, of: str
) -> tuple[int, int]:
    """Understand the height and width of a patch or stride.

    Args:
        name: of the option.
        sides: what was given; None takes a part of the largest.
        largest: the largest height and width that it may have.
        share: which part of it is taken for None: 4 is a quarter, rounded up.
        of: whose size the largest is, in words.

    Raises:
        TypeError: if a side is no whole number.
        ValueError: if it is no pair, or a side is below 1 or too large.
    """
    if sides is None:
        return -(-largest[0] // share), -(-largest[1] // share)
    pair = sides if isinstance(sides, tuple | list) else (sides, sides)
    if len(pair) != 2:
        raise ValueError(f"{name} must be one number or (height, width), got {quote(sides)}.")
    for side, most in zip(pair, largest, strict=True):
        check_number(name, side)
        if side > most:
            raise ValueError(
                f"{name} must be at most {largest[0]} x {largest[1]}, the size of {of}, "
                f"got {pair[0]} x {pair[1]}."
            )
    return int(pair[0]), int(pair[1])


def list_windows(size: tuple[int, int], patch: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Slide a window over an image; the last one in a row is cut at the border.

    Args:
        size: `(H, W)` of the image.
        patch: height and width of the window.
        stride: by how much it moves, down and across.

    Returns:
        `(P, H, W)` bool, True inside, row by row.

    >>> list_windows((1, 3), (1, 2), (1, 2)).int().tolist()
    [[[1, 1, 0]], [[0, 0, 1]]]
    """
    down, across = (
        cut_line(*sides) for sides in zip(size, patch, stride, strict=True)
    )  # (p, H), (q, W)
    return (down[:, None, :, None] & across[None, :, None, :]).flatten(0, 1)


def cut_line(length: int, patch: int, stride: int) -> Tensor:
    """Slide a window along a line until its end is reached; `(p, length)` bool."""
    count = 1 + -(-(length - patch) // stride)
    places, starts = torch.arange(length), torch.arange(count)[:, None] * stride
    return (places >= starts) & (places < starts + patch)


def number_patches(size: tuple[int, int], patch: tuple[int, int]) -> Tensor:
    """Cut an image into a grid; `(H, W)` the number of the patch of each pixel.

    >>> number_patches((2, 3), (1, 2))
    tensor([[0, 0, 1],
            [2, 2, 3]])
    """
    rows, columns = (torch.arange(a) // b for a, b in zip(size, patch, strict=True))
    return rows[:, None] * (int(columns[-1]) + 1) + columns
