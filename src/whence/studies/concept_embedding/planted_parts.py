"""Images of small patterns in a grid, of which two together make the class."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.records.images import ImageSet

PART_CELL, PART_CELLS = 8, 3
"""Pixels of a cell, and cells side by side."""

PART_NAMES = ("plus", "ring", "diagonal cross", "rows", "columns", "block")
"""Every pattern; class k has pattern k and the next one."""


class PartImages(NamedTuple):
    """Images, their classes, and the part that every pixel belongs to, `(N, H, W)`; -1 for none."""

    images: ImageSet
    parts: Tensor


def list_patterns() -> Tensor:
    """Draw the patterns, `(6, 8, 8)` bool."""
    rows, columns = torch.meshgrid(torch.arange(PART_CELL), torch.arange(PART_CELL), indexing="ij")
    inside = (rows >= 1) & (columns >= 1)  # seven by seven, a line of each cell stays free
    edge = (rows == 1) | (rows == 7) | (columns == 1) | (columns == 7)
    drawn = [
        (rows == 4) | (columns == 4),
        edge,
        (rows == columns) | (rows + columns == PART_CELL),
        rows % 2 == 1,
        columns % 2 == 1,
        (rows >= 3) & (rows <= 6) & (columns >= 3) & (columns <= 6),
    ]
    return torch.stack([one & inside for one in drawn])


def draw_part_images(total: int, generator: torch.Generator) -> PartImages:
    """Draw images of 24 x 24 pixels, as many of each class.

    Class k shows patterns k and k + 1 (of six, in a ring), in cells drawn by chance, and half of
    the images another pattern that makes no other pair. So either pattern alone says nothing sure.

    Args:
        total: N.
        generator: of everything.
    """
    patterns, names = list_patterns(), len(PART_NAMES)
    side = PART_CELL * PART_CELLS
    labels = torch.arange(total) % names
    pixels = 0.2 * torch.rand((total, side, side), generator=generator)
    parts = torch.full((total, side, side), -1)
    for place, label in enumerate(labels.tolist()):
        shown = [label, (label + 1) % names]
        if bool(torch.rand((), generator=generator) < 0.5):
            further = 3 + int(torch.randint(2, (), generator=generator))
            shown.append((label + further) % names)
        cells = torch.randperm(PART_CELLS**2, generator=generator)[: len(shown)]
        bright = 0.6 + 0.4 * torch.rand(len(shown), generator=generator)
        for part, cell, light in zip(shown, cells.tolist(), bright.tolist(), strict=True):
            top, left = PART_CELL * (cell // PART_CELLS), PART_CELL * (cell % PART_CELLS)
            at = (place, slice(top, top + PART_CELL), slice(left, left + PART_CELL))
            pixels[at] = torch.where(patterns[part], light, pixels[at])
            parts[at] = torch.where(patterns[part], part, parts[at])
    images = (pixels * 255).round().to(torch.uint8)[:, None]
    pairs = tuple(f"{PART_NAMES[k]} and {PART_NAMES[(k + 1) % names]}" for k in range(names))
    return PartImages(ImageSet(images, labels, pairs), parts)
