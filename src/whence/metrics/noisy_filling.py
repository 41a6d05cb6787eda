"""Noisy linear imputation: hidden pixels become the weighted mean of their neighbours."""

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from whence.metrics.attributed import Attributed, Refill, read_class
from whence.metrics.faithfulness_measure import MeasuredFaithfulness
from whence.metrics.pixel_order import count_hidden, draw_curve

DIRECT, DIAGONAL = 1 / 6, 1 / 12
"""How much a neighbour counts."""

BLEND_NOISE = 0.01
"""Deviation of what is added, as a share of the range of a pixel."""


def noisy_filling(attributed: Attributed, generator: torch.Generator) -> Refill:
    """Make a filling for the images of one size.

    Rong, Leemann, Borisov, Kasneci and Kasneci (2022), arXiv:2202.00449, section 4.1: every hidden
    pixel is the mean of its eight neighbours, hidden ones too, which is a sparse linear system;
    direct neighbours count twice as much as diagonal ones. Then comes noise, here the same for all
    images and clipped to the range of pixels.

    Args:
        attributed: gives the size and the range.
        generator: of the noise.
    """
    shape = attributed.images.shape[1:]
    low, high = attributed.low, attributed.high
    noise = BLEND_NOISE * (high - low) * torch.randn(shape, generator=generator)
    weights = weigh_neighbours(shape[1], shape[2])

    def fill(images: Tensor, hidden: Tensor) -> Tensor:
        pairs = zip(images, hidden, strict=True)
        filled = torch.stack([solve_hidden(one, marks, weights) for one, marks in pairs])
        noisy = (filled + noise.to(filled)).clamp(low, high)
        return noisy.where(hidden[:, None], images)

    return fill


def weigh_neighbours(height: int, width: int) -> csr_array:
    """Weigh the neighbours of every pixel; rows sum to 1, but at borders."""
    places = np.arange(height * width).reshape(height, width)
    starts, ends, weights = [], [], []
    for down, across in product((-1, 0, 1), (-1, 0, 1)):
        if down == across == 0:
            continue
        starts.append(shift_inside(places, -down, -across).ravel())
        ends.append(shift_inside(places, down, across).ravel())
        weights.append(np.full(ends[-1].size, DIAGONAL if down and across else DIRECT))
    pairs = (np.concatenate(starts), np.concatenate(ends))
    return csr_array(coo_array((np.concatenate(weights), pairs), shape=(places.size,) * 2))


def shift_inside(places: NDArray[np.int64], down: int, across: int) -> NDArray[np.int64]:
    """Cut off what has no neighbour so far up and to the left of it."""
    height, width = places.shape
    rows = slice(max(0, down), height + min(0, down))
    return places[rows, max(0, across) : width + min(0, across)]


def solve_hidden(image: Tensor, hidden: Tensor, weights: csr_array) -> Tensor:
    """Fill the hidden pixels `(H, W)` bool of an image `(C, H, W)`, without noise.

    Raises:
        ValueError: if no pixel is left.
    """
    marks = hidden.flatten().cpu().numpy()
    if marks.all():
        raise ValueError("hidden must leave at least one pixel, from which others are filled.")
    if not marks.any():
        return image
    values = image.flatten(1).double().cpu().numpy().T  # (H * W, C)
    rows = weights[marks]
    system = diags_array(rows.sum(1)) - rows[:, marks]
    known = rows[:, ~marks] @ values[~marks]
    values = values.copy()
    values[marks] = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(known)
    return torch.from_numpy(values.T.copy()).view(image.shape).to(image)


def keeps_class(logits: Tensor, classes: Tensor) -> Tensor:
    """Say for logits `(B, K)` whether the class `(B,)` wins, as 1 or 0."""
    return (read_class(logits, classes) == logits.amax(1)).double()


def remove_and_debias(
    attributed: Attributed, *, most_first: bool, steps: int, generator: torch.Generator
) -> MeasuredFaithfulness:
    """Follow the answer while pixels are replaced by what is around them.

    Args:
        attributed: images and their relevance.
        most_first: the most relevant pixels go first, not the least relevant.
        steps: from the whole image to none of it; the last is left out, as nothing is around then.
        generator: of the noise, and of the order of pixels with the same relevance.

    Returns:
        Shares of the steps at which the answer is still the same, and for each step whether it is,
        `(B, steps - 1)`.
    """
    fill = noisy_filling(attributed, generator)
    counts = count_hidden(attributed.relevance[0].numel(), steps)[1:-1]
    curve = draw_curve(
        attributed, keeps_class, counts, most_first=most_first, generator=generator, refill=fill
    )
    return MeasuredFaithfulness(curve.mean(1), curve)
