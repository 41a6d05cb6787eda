"""Mask: the smallest area that must be disturbed for the score to fall."""

import torch
from torch import Tensor

from whence.attribution.disturbances import choose_disturbance
from whence.attribution.found import FoundRelevance
from whence.attribution.hiding import Fill, share_channels
from whence.attribution.mask_search import Costs, search_masks
from whence.attribution.method import Method
from whence.attribution.patches import Sides, find_sides
from whence.attribution.progress import count_parts
from whence.attribution.score import Score, explain_each
from whence.bounds import check_number


def mask(
    score: Score,
    images: Tensor,
    *,
    generator: torch.Generator | None = None,
    fill: Fill = "blur",
    patch: Sides | None = None,
    area: float = 0.1,
    smoothness: float = 1.0,
    iterations: int = 200,
) -> FoundRelevance:
    """Search for the smallest mask that lets the score fall furthest where it disturbs the image.

    Meaningful perturbation: Fong and Vedaldi (2017), arXiv:1704.03296, equations 3 and 4. Unlike
    there, the score is divided by what it loses where all is disturbed, so that the costs mean the
    same for every score; and a mask is left alone once it settles. An evidence image is disturbed
    alone, while all others stay as they are.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        generator: of the noise; not needed for another fill.
        fill: what a disturbed pixel becomes: "blur" (blurred the more, the more it is disturbed),
            "noise" (normal, around the image's mean colour), another name from ``BASELINES``, a
            number, a colour of C numbers, or an image `(C, H, W)`.
        patch: height and width of a cell of the mask, which is interpolated in between; None is an
            eighth of the image's.
        area: what disturbing all of the image costs, as a part of what the score can lose.
        smoothness: what differences between neighbouring cells cost, by their third power.
        iterations: of Adam, at most.

    Returns:
        How far each pixel is disturbed, from 0 to 1, shared equally by the channels.

    Raises:
        ValueError: if a number is out of its bounds, or an option does not fit.
        RuntimeError: if the score has no gradient.
    """
    for name, value in (("area", area), ("smoothness", smoothness), ("iterations", iterations)):
        check_number(name, value)
    cell = find_sides("patch", patch, (images.shape[2], images.shape[3]), share=8, of="the images")
    disturbance = choose_disturbance(fill, images, generator, bounded=score.bounded)
    costs, settled = Costs(area, smoothness, iterations), list[Tensor]()

    def search(part: Score, pixels: Tensor) -> Tensor:
        layers, found = disturbance.of(pixels), [pixels[:0, 0]]
        groups = torch.arange(len(pixels)).split(part.batch_size)
        for rows in count_parts(groups, "mask", total=len(groups), unit="batch"):
            at = rows.to(pixels.device)
            masks, done = search_masks(part.take(rows), pixels[at], layers[at], cell, costs)
            found.append(masks)
            settled.append(done)
        return share_channels(1 - torch.cat(found), pixels.shape[1])

    relevance = explain_each(score, images, search)
    return FoundRelevance(*relevance, say_masks(disturbance.words, torch.cat(settled), iterations))


def say_masks(words: str, settled: Tensor, iterations: int) -> str:
    """Say what was done, and how many masks had not settled."""
    sentence = (
        "A pixel's number is how far it is disturbed, from 0 to 1, by the smallest mask found that "
        f"lets the score fall furthest ({words})."
    )
    late = int((~settled).sum())
    if late:
        sentence += (
            f" {late} of {len(settled)} masks had not settled after {iterations:,} iterations and "
            "are shown as they were then."
        )
    return sentence


MASK = Method("mask", mask, adds_up=False, lighter="evidence")
