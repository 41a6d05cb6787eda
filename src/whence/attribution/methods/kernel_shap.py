"""Kernel SHAP: Shapley values of regions, by a regression on coalitions of them."""

import math
from functools import partial

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.hiding import Fill, find_fill, score_hidden, share_channels
from whence.attribution.method import Method
from whence.attribution.patches import Sides
from whence.attribution.regions import Regions, find_regions, hide_regions, spread_regions
from whence.attribution.repeated import say_spread, summarise_repeats
from whence.attribution.score import Score, find_values, score_images
from whence.bounds import check_number


def kernel_shap(
    score: Score,
    images: Tensor,
    *,
    generator: torch.Generator,
    patch: Sides | None = None,
    superpixels: int | None = None,
    samples: int = 1024,
    repeats: int = 2,
    fill: Fill = "mean",
) -> FoundRelevance:
    """Share the score among the regions of an image, as Shapley values do.

    Lundberg and Lee (2017), arXiv:1705.07874, theorem 2; the sum is held by the regression itself,
    and coalitions are drawn in pairs of opposites (Covert and Lee 2021, arXiv:2012.01536). Where
    all coalitions are no more than ``samples``, all are asked and the values are exact. The
    evidence stays as it is.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        generator: of the coalitions, where not all are asked.
        patch: height and width of a region; None is an eighth of the image's.
        superpixels: about how many regions that follow the image there are, instead of patches.
        samples: coalitions of regions that are shown together.
        repeats: regressions with other draws, of which the mean is taken.
        fill: what is seen where a region is hidden: a name from ``BASELINES`` ("mean" is the
            image's own mean colour), a number, a colour of C numbers, or an image `(C, H, W)`.

    Returns:
        Signed shares in score units, shared equally by the pixels of a region; they add up to the
        score minus that of the image with all regions hidden.

    Raises:
        ValueError: if a number is out of its bounds, an option does not fit the images, or there
            are too few samples for so many regions.
        ModuleNotFoundError: if superpixels are asked for and scikit-image is not installed.
    """
    for name, value in (("samples", samples), ("repeats", repeats)):
        check_number(name, value)
    pixels, filled = score.pixels(images), find_fill(fill, images, bounded=score.bounded)
    fills, regions = filled.of(pixels), find_regions(pixels, patch, superpixels)
    check_samples(samples, int(regions.counts.max()))
    start = score_images(score, fills)
    gains = (find_values(score, pixels) - start).double()
    found = gains.new_zeros((repeats, len(pixels), int(regions.counts.max())))
    for count in regions.counts.unique().tolist():
        rows = (regions.counts == count).nonzero()[:, 0]
        own = Regions(regions.numbers[rows], regions.counts[rows], regions.words)
        at = rows.to(pixels.device)
        for repeat in range(1 if list_all(count, samples) else repeats):
            shown, counted = choose_coalitions(count, samples, generator)
            values = score_hidden(
                score.take(rows),
                pixels[at],
                fills[at],
                partial(hide_regions, own, shown),
                len(shown),
                method="kernel_shap",
            )
            raised = values.double() - start[at, None].double()  # (n, N)
            found[repeat, at, :count] = share_gains(shown, counted, raised, gains[at])
        if list_all(count, samples):
            found[1:, at] = found[:1, at]
    repeated = summarise_repeats(list(found))
    spread = spread_regions(regions, repeated.mean.to(pixels), shared=True)
    everything = all(list_all(count, samples) for count in regions.counts.tolist())
    how = "all coalitions" if everything else f"{samples:,} coalitions"
    return FoundRelevance(
        share_channels(spread, pixels.shape[1]),
        None,
        f"A pixel's number is its part of what {regions.words} adds to the score (its Shapley "
        f"value, from {how}) where all others show the image or {filled.words}, in units of the "
        "score." + say_spread([repeated], 1 if everything else repeats),
        start=start,
        lines={},
    )


def list_all(count: int, samples: int) -> bool:
    """Say whether so many samples are enough to ask all coalitions of regions."""
    return count <= 20 and 2**count - 2 <= samples


def check_samples(samples: int, count: int) -> None:
    """Refuse too few samples for a regression on ``count`` regions.

    Raises:
        ValueError: with what is needed.
    """
    if samples < 2 * count and not list_all(count, samples):
        raise ValueError(
            f"samples must be at least {2 * count}, twice the number of regions, got {samples}; "
            "or give a larger patch."
        )


def choose_coalitions(
    count: int, samples: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Choose coalitions of regions: all of them, but the empty and the whole one, or a draw.

    Args:
        count: R, how many regions there are.
        samples: how many coalitions are asked at most.
        generator: of the draw.

    Returns:
        `(N, R)` bool, and how much each counts, `(N,)` float64.
    """
    sizes = torch.arange(1, count, dtype=torch.float64)
    if list_all(count, samples):
        shown = (torch.arange(1, 2**count - 1)[:, None] >> torch.arange(count)) % 2 == 1
        each = [1 / (math.comb(count, s) * s * (count - s)) for s in range(1, count)]
        return shown, torch.tensor(each, dtype=torch.float64)[shown.sum(1) - 1]
    device, half = generator.device, -(-samples // 2)
    chances = (1 / (sizes * (count - sizes))).to(device)
    drawn = 1 + torch.multinomial(chances, half, replacement=True, generator=generator)
    ranks = torch.rand((half, count), generator=generator, device=device).argsort(1).argsort(1)
    shown = (ranks < drawn[:, None]).cpu()
    shown = torch.cat([shown, ~shown])[:samples]
    return shown, torch.ones(len(shown), dtype=torch.float64)


def share_gains(shown: Tensor, counted: Tensor, raised: Tensor, gains: Tensor) -> Tensor:
    """Share gains among regions by least squares, so that the shares add up to them.

    Args:
        shown: `(N, R)` bool coalitions.
        counted: `(N,)` how much each counts.
        raised: `(n, N)` by how much each raises the score above that of nothing shown.
        gains: `(n,)` by how much all regions together do.

    Returns:
        `(n, R)`.
    """
    if len(shown) == 0:  # a single region
        return gains[:, None]
    inputs, counted = shown.to(raised), counted.to(raised)
    inverse = torch.linalg.pinv(inputs.T @ (counted[:, None] * inputs), hermitian=True)
    free = (raised * counted) @ inputs @ inverse  # (n, R)
    way = inverse.sum(1)
    shares: Tensor = free + (gains - free.sum(1))[:, None] * way / way.sum()
    return shares


KERNEL_SHAP = Method("kernel_shap", kernel_shap, adds_up=True)
