"""LIME: a straight line through the scores of images of which some regions are hidden."""

from functools import partial

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.hiding import Fill, find_fill, score_hidden, share_channels
from whence.attribution.method import Method
from whence.attribution.patches import Sides
from whence.attribution.regions import Regions, find_regions, hide_regions, spread_regions
from whence.attribution.repeated import Repeated, say_spread, summarise_repeats
from whence.attribution.score import Score, explain_each
from whence.bounds import check_number

KERNEL_WIDTH = 0.25
"""How far from the whole image, by the cosine distance, a variant still counts."""


def lime(
    score: Score,
    images: Tensor,
    *,
    generator: torch.Generator,
    patch: Sides | None = None,
    superpixels: int | None = None,
    samples: int = 400,
    repeats: int = 3,
    fill: Fill = "mean",
    ridge: float = 1.0,
) -> FoundRelevance:
    """Hide regions by chance and fit a line to the scores, by weighted ridge regression.

    Ribeiro, Singh and Guestrin (2016), arXiv:1602.04938. A variant of which the share s is shown
    counts exp(-(1 - sqrt(s))^2 / 0.25^2). The intercept is free. An evidence image is looked at
    alone, while all others stay as they are.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        generator: of which regions are hidden, each with probability 1/2.
        patch: height and width of a region; None is an eighth of the image's.
        superpixels: about how many regions that follow the image there are, instead of patches.
        samples: variants of each image; the first is the image itself.
        repeats: regressions with other draws, of which the mean is taken.
        fill: what is seen where a region is hidden: a name from ``BASELINES`` ("mean" is the
            image's own mean colour), a number, a colour of C numbers, or an image `(C, H, W)`.
        ridge: what the squares of the weights of regions cost.

    Returns:
        Weights of regions in score units, shared equally by the channels; they add up to nothing.

    Raises:
        ValueError: if a number is out of its bounds, or an option does not fit the images.
        ModuleNotFoundError: if superpixels are asked for and scikit-image is not installed.
    """
    for name, value in (("samples", samples), ("repeats", repeats), ("ridge", ridge)):
        check_number(name, value)
    filled, repeated = find_fill(fill, images, bounded=score.bounded), list[Repeated]()
    words = find_regions(images[:1], patch, superpixels).words

    def fit(part: Score, pixels: Tensor) -> Tensor:
        regions, fills = find_regions(pixels, patch, superpixels), filled.of(pixels)
        found = []
        for _ in range(repeats):
            shown = draw_shown(samples, int(regions.counts.max()), generator)
            values = score_hidden(
                part,
                pixels,
                fills,
                partial(hide_regions, regions, shown),
                samples,
                method="lime",
            )
            found.append(regress(regions, shown, values, ridge))
        repeated.append(summarise_repeats(found))
        spread = spread_regions(regions, repeated[-1].mean.to(pixels), shared=False)
        return share_channels(spread, pixels.shape[1])

    relevance = explain_each(score, images, fit)
    sentence = (
        f"A pixel's number is by how much the score grows where {words} is shown rather than "
        f"{filled.words}, in a straight line through {samples:,} images of which some are hidden, "
        "in units of the score."
    )
    return FoundRelevance(*relevance, sentence + say_spread(repeated, repeats))


def draw_shown(samples: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw which of the regions are shown, `(samples, count)` bool; all of them in the first."""
    drawn = torch.rand((samples, count), generator=generator, device=generator.device).cpu() < 0.5
    drawn[0] = True
    return drawn


def regress(regions: Regions, shown: Tensor, values: Tensor, ridge: float) -> Tensor:
    """Fit a line to scores, image by image.

    Args:
        regions: of B images.
        shown: `(N, R)` bool; an image with fewer regions reads the first ones.
        values: `(B, N)`.
        ridge: what the squares of the weights cost.

    Returns:
        Weights `(B, R)` float64, 0 where an image has no such region.
    """
    found = values.new_zeros((len(values), shown.shape[1]), dtype=torch.float64)
    for count in regions.counts.unique().tolist():
        rows = (regions.counts == count).nonzero()[:, 0].to(values.device)
        inputs = shown[:, :count].double().to(values.device)  # (N, R)
        distances = 1 - inputs.mean(1).sqrt()
        counted = (-(distances**2) / KERNEL_WIDTH**2).exp()[:, None]  # (N, 1)
        outputs = values[rows].double().T  # (N, n)
        inputs = inputs - (counted * inputs).sum(0) / counted.sum()
        outputs = outputs - (counted * outputs).sum(0) / counted.sum()
        square = inputs.T @ (counted * inputs) + ridge * torch.eye(count).to(inputs)
        weights = torch.linalg.pinv(square, hermitian=True) @ (inputs.T @ (counted * outputs))
        found[rows, :count] = weights.T
    return found


LIME = Method("lime", lime, adds_up=False, lighter="evidence")
