"""Dense local features: gradients in 4 x 4 cells of 8 directions, over many squares of an image."""

from typing import NamedTuple

import numpy as np

from whence.studies.bag_of_words.tiles import Floats

CELLS_ACROSS, DIRECTIONS = 4, 8
"""As in SIFT: 128 numbers for each square."""

SCALES = (4, 6)
"""Pixels of a cell's side; squares are four cells wide and one cell apart."""

INSTALL_IMAGES = "bag_of_words needs scikit-image; install it with: pip install 'whence[studies]'"


class LocalFeatures(NamedTuple):
    """Features `(N, L, D)` of L squares, and these: top, left, side `(L, 3)`, the same in all."""

    values: Floats
    squares: np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def describe_densely(images: Floats, cell: int) -> LocalFeatures:
    """Compute dense features of images `(N, H, W)` in [0, 1].

    Lowe (2004) and Dalal and Triggs (2005): histograms of gradients, of length 1 after large parts
    were cut off, by scikit-image's ``hog``.

    Args:
        images: grey.
        cell: pixels of a cell's side.

    Raises:
        ModuleNotFoundError: if scikit-image is not installed.
    """
    try:
        from skimage.feature import hog  # late: the package can do without it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(INSTALL_IMAGES) from error
    found = [
        hog(
            image,
            orientations=DIRECTIONS,
            pixels_per_cell=(cell, cell),
            cells_per_block=(CELLS_ACROSS, CELLS_ACROSS),
            block_norm="L2-Hys",
            feature_vector=False,
        )
        for image in images
    ]
    values = np.stack(found)  # (N, rows, columns, CELLS_ACROSS, CELLS_ACROSS, DIRECTIONS)
    rows, columns = values.shape[1:3]
    top, left = np.meshgrid(np.arange(rows) * cell, np.arange(columns) * cell, indexing="ij")
    side = np.full(rows * columns, CELLS_ACROSS * cell)
    squares = np.stack([top.ravel(), left.ravel(), side], axis=1)
    return LocalFeatures(values.reshape(len(images), rows * columns, -1), squares)
