"""The search for the smallest mask that lets a score fall furthest, by Adam."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from whence.attribution.disturbances import blend
from whence.attribution.score import NO_GRADIENT, Score, find_values

MASK_RATE = 0.1
"""Of Adam."""

DIFFERENCE_POWER = 3
"""Of differences between neighbouring cells."""

SETTLING_ITERATIONS, SETTLING_PROGRESS = 20, 1e-3
"""A mask has settled once its objective fell by less than this for so many iterations."""

NO_FALL = 1e-6
"""A change of the score that is no change, as a part of it."""


class Costs(NamedTuple):
    """What a mask costs, and for how long it is searched."""

    area: float
    smoothness: float
    iterations: int


def search_masks(
    score: Score, images: Tensor, layers: Tensor, cell: tuple[int, int], costs: Costs
) -> tuple[Tensor, Tensor]:
    """Search for one mask each, all of them side by side.

    Args:
        score: of n images.
        images: `(n, C, H, W)`.
        layers: `(n, L, C, H, W)` from the images as they are to wholly disturbed ones.
        cell: height and width of a cell of the mask in pixels.
        costs: of a mask.

    Returns:
        Masks `(n, H, W)`, 1 where the image is left as it is, and `(n,)` bool, which had settled.

    Raises:
        RuntimeError: if the score has no gradient.
    """
    (height, width), total = images.shape[2:], len(images)
    sides = [-(-length // side) for length, side in zip((height, width), cell, strict=True)]
    scale = measure_fall(score, images, layers)
    cells = images.new_full((total, 1, *sides), 0.5).requires_grad_()
    optimiser = torch.optim.Adam([cells], lr=MASK_RATE)
    masks, best = images.new_ones((total, height, width)), images.new_full((total,), torch.inf)
    waited = torch.zeros(total, dtype=torch.int64, device=images.device)
    settled = waited.bool()
    for _ in range(costs.iterations):
        enlarged = enlarge(cells, cell, (height, width))
        seen = blend(layers, enlarged)
        values = score(seen.clamp(0, 1) if score.bounded else seen)  # rounding may leave [0, 1]
        if not values.requires_grad:
            raise RuntimeError(NO_GRADIENT)
        objective = values / scale + price(cells, costs)
        now = objective.detach()
        waited = torch.where(now < best - SETTLING_PROGRESS, 0, waited + 1)
        best = torch.where(waited == 0, now, best)
        done = ~settled & (waited >= SETTLING_ITERATIONS)
        masks[done], settled = enlarged.detach()[done], settled | done
        if bool(settled.all()):
            break
        (cells.grad,) = torch.autograd.grad(objective.sum(), cells)
        optimiser.step()
        with torch.no_grad():
            cells.clamp_(0, 1)
    masks[~settled] = enlarge(cells.detach(), cell, (height, width))[~settled]
    return masks, settled


def measure_fall(score: Score, images: Tensor, layers: Tensor) -> Tensor:
    """Measure by how much the score changes where all is disturbed, 1 where it does not; `(n,)`."""
    with torch.no_grad():
        whole = find_values(score, images)
        last = layers[:, -1].clamp(0, 1) if score.bounded else layers[:, -1]
        change = (whole - score(last)).abs()
    return torch.where(change > NO_FALL * (1 + whole.abs()), change, 1)


def enlarge(cells: Tensor, cell: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Enlarge cells `(n, 1, h, w)` to masks `(n, H, W)`, bilinearly; what sticks out is cut off."""
    full = [count * side for count, side in zip(cells.shape[2:], cell, strict=True)]
    return interpolate(cells, full, mode="bilinear")[:, 0, : size[0], : size[1]]


def price(cells: Tensor, costs: Costs) -> Tensor:
    """Price masks `(n, 1, h, w)` by their area and by the differences of neighbours; `(n,)`."""
    count = cells[0].numel()
    differences = sum(
        cells.diff(dim=axis).abs().pow(DIFFERENCE_POWER).sum((1, 2, 3)) for axis in (2, 3)
    )
    return costs.area * (1 - cells).mean((1, 2, 3)) + costs.smoothness * differences / count
