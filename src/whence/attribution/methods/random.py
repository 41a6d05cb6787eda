"""Random: a control that knows nothing of the score."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score

CHANCE = (
    "A pixel's number was drawn by chance from 0 to 1, the same in all channels. It has no unit "
    "and says nothing of the score: a method should do better than this."
)


def random(score: Score, images: Tensor, *, generator: torch.Generator) -> FoundRelevance:
    """Draw one number for each pixel of the images, then of their evidence, from 0 to 1.

    Args:
        score: of B images; it is not asked.
        images: `(B, C, H, W)`.
        generator: of the draws.

    Returns:
        Numbers without a unit, the same in all channels, float32.
    """
    evidence = score.evidence
    return FoundRelevance(
        draw_like(images, generator),
        None if evidence is None else draw_like(evidence, generator),
        CHANCE,
    )


def draw_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw for images `(n, C, H, W)` a number for each pixel."""
    count, channels, *size = images.shape
    drawn = torch.rand((count, 1, *size), generator=generator, device=generator.device)
    return drawn.expand(-1, channels, -1, -1)


RANDOM = Method("random", random, adds_up=False)
