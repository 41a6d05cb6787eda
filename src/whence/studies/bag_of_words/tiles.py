"""Tiles with polygons and circles: what the study's classifier sees."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TILE_SIDE = 102
"""Pixels of a side, as in the paper."""

GREY_NOISE = 0.04
"""Standard deviation of the grey of every pixel, of a range of 1."""


class Tiles(NamedTuple):
    """N tiles: pixels `(N, H, W)` in [0, 1], labels `(N,)`, and where shapes are, `(N, H, W)`."""

    images: Floats
    positive: Flags  # at least one polygon
    polygons: Flags
    circles: Flags


def draw_tiles(count: int, generator: np.random.Generator) -> Tiles:
    """Draw tiles: half of them with one or two polygons; all may have up to two circles.

    Bach et al. (2015), section "Bag of words features for polygons versus circles": positive is a
    tile with at least one polygon, with circles or without; negative one with circles or nothing.
    """
    drawn = [draw_tile(place % 2 == 0, generator) for place in range(count)]
    images, polygons, circles = (np.stack(one) for one in zip(*drawn, strict=True))
    return Tiles(images, np.arange(count) % 2 == 0, polygons > 0, circles > 0)


def draw_tile(positive: bool, generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw one tile; pixels, and masks of its polygons and circles."""
    layers = [Image.new("F", (TILE_SIDE, TILE_SIDE), 0.0) for _ in range(3)]
    pixels, polygons, circles = (ImageDraw.Draw(layer) for layer in layers)
    pixels.rectangle((0, 0, TILE_SIDE, TILE_SIDE), fill=float(generator.uniform(0.3, 0.7)))
    for _ in range(int(generator.integers(0, 3))):
        x, y, radius = place_shape(generator)
        box = (x - radius, y - radius, x + radius, y + radius)
        pixels.ellipse(box, fill=choose_grey(generator))
        circles.ellipse(box, fill=1.0)
    for _ in range(int(generator.integers(1, 3)) if positive else 0):
        corners = choose_corners(*place_shape(generator), generator)
        pixels.polygon(corners, fill=choose_grey(generator))
        polygons.polygon(corners, fill=1.0)
        circles.polygon(corners, fill=0.0)  # what lies behind is not seen
    noise = generator.normal(0, GREY_NOISE, (TILE_SIDE, TILE_SIDE))
    seen, first, second = (np.asarray(layer, dtype=np.float64) for layer in layers)
    return np.clip(seen + noise, 0, 1), first, second


def place_shape(generator: np.random.Generator) -> tuple[float, float, float]:
    """Choose a centre and a radius inside the tile."""
    radius = float(generator.uniform(11, 19))
    x, y = generator.uniform(radius, TILE_SIDE - radius, 2).tolist()
    return x, y, radius


def choose_grey(generator: np.random.Generator) -> float:
    """Choose a grey that no background is near to."""
    return float(generator.choice([generator.uniform(0, 0.15), generator.uniform(0.85, 1)]))


def choose_corners(
    x: float, y: float, radius: float, generator: np.random.Generator
) -> list[tuple[float, float]]:
    """Choose three to five corners on a circle, so far apart that the shape is not flat."""
    corners = int(generator.integers(3, 6))
    step = 2 * math.pi / corners
    angles = generator.uniform(0, step) + step * np.arange(corners)
    angles += generator.uniform(-0.2, 0.2, corners) * step
    return [(x + radius * math.cos(one), y + radius * math.sin(one)) for one in angles.tolist()]
