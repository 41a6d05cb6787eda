"""Variants of an image: some regions are kept, the others are those of another image."""

import torch
from torch import Tensor

from whence.attribution.regions import Regions, find_regions
from whence.attribution.score import FunctionScore
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.studies.surrogates.anchors import DrawKept, RegionRule

REGIONS_ACROSS = 4
"""Regions side by side, and below each other."""


def cut_regions(images: Tensor) -> Regions:
    """Cut images `(B, C, H, W)` into a grid of 4 x 4 regions, or so."""
    height, width = images.shape[2:]
    return find_regions(
        images, (max(1, height // REGIONS_ACROSS), max(1, width // REGIONS_ACROSS)), None
    )


def draw_variants(
    image: Tensor,
    numbers: Tensor,
    rule: RegionRule,
    others: Tensor,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """Draw variants of an image in which the regions of a rule are kept.

    Each other region is kept with probability 1/2, or else is that of another image, the same one
    for all regions of a variant.

    Args:
        image: `(C, H, W)`.
        numbers: `(H, W)` the region of each pixel.
        rule: regions that are kept.
        others: `(N, C, H, W)` images to take regions from.
        count: n.
        generator: of what is kept, and of the other images.

    Returns:
        `(n, C, H, W)`.
    """
    total = int(numbers.max()) + 1
    kept = torch.rand((count, total), generator=generator) < 0.5
    kept[:, sorted(rule)] = True
    drawn = others[torch.randint(len(others), (count,), generator=generator)]
    return torch.where(kept[:, numbers][:, None], image, drawn)


def draw_kept(
    model: Classifier,
    image: Tensor,
    numbers: Tensor,
    others: Tensor,
    generator: torch.Generator,
) -> DrawKept:
    """Return what draws variants of an image and counts those with the image's own answer."""
    with evaluating(model):
        own = int(model.logits(image[None]).argmax())

    def draw(rule: RegionRule, count: int) -> int:
        variants = draw_variants(image, numbers, rule, others, count, generator)
        with evaluating(model):
            return int((model.logits(variants).argmax(1) == own).sum())

    return draw


def score_answers(model: Classifier, images: Tensor) -> FunctionScore:
    """Score variants of images `(B, C, H, W)` by the probability of the answer to each."""
    with evaluating(model):
        own = model.logits(images).argmax(1)

    def probability(variants: Tensor, rows: Tensor) -> Tensor:
        return model.logits(variants).softmax(1).gather(1, own[rows][:, None]).squeeze(1)

    return FunctionScore(probability, bounded=True)


def read_regions(relevance: Tensor, regions: Regions) -> Tensor:
    """Read the number of every region off maps `(B, C, H, W)` that give it to all of its pixels.

    Returns:
        `(B, R)`.
    """
    flat, numbers = relevance.sum(1).flatten(1), regions.numbers.flatten(1)
    total = int(numbers.max()) + 1
    sums = flat.new_zeros(len(flat), total).scatter_add(1, numbers, flat)
    sizes = flat.new_zeros(len(flat), total).scatter_add(1, numbers, torch.ones_like(flat))
    return sums / sizes


def top_rule(numbers: Tensor, length: int) -> RegionRule:
    """Take the regions of largest number `(R,)` as a rule of so many."""
    return frozenset(numbers.argsort(descending=True)[:length].tolist())


def measure_agreement(of_seeds: Tensor) -> float:
    """Average the correlation of the numbers of an image's regions between all pairs of seeds.

    Args:
        of_seeds: `(S, B, R)`, S at least 2.
    """
    centred = of_seeds.double() - of_seeds.double().mean(-1, keepdim=True)
    unit = centred / centred.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    pairs = [
        (unit[one] * unit[two]).sum(-1).mean() for one in range(len(unit)) for two in range(one)
    ]
    return float(torch.stack(pairs).mean())
