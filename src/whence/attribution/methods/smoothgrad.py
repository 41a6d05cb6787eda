"""SmoothGrad: the mean slope of a score around an image."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.progress import count_parts
from whence.attribution.score import Score, batches, explain_each, find_slopes
from whence.bounds import check_number


def smoothgrad(
    score: Score,
    images: Tensor,
    *,
    generator: torch.Generator,
    samples: int = 32,
    noise: float = 0.15,
) -> FoundRelevance:
    """Average the gradient of a score over noisy copies of each image.

    Smilkov et al. (2017), arXiv:1706.03825. Noise is normal, with a share of the image's own range
    as its deviation; values that must stay in [0, 1] are cut there. An evidence image is made noisy
    alone, while the image that it answers for and all others stay as they are.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        generator: of the noise: that of the images first, then that of the evidence.
        samples: noisy copies of each image.
        noise: deviation of the noise, as a share of the largest value minus the smallest.

    Returns:
        Signed mean slopes, in score units per unit of a value; they add up to nothing.

    Raises:
        ValueError: if a number is out of its bounds.
        RuntimeError: if the score has no gradient.
    """
    check_number("samples", samples)
    check_number("noise", noise)

    def smooth(part: Score, pixels: Tensor) -> Tensor:
        spans = pixels.amax((1, 2, 3), keepdim=True) - pixels.amin((1, 2, 3), keepdim=True)
        total = torch.zeros_like(pixels)
        for _ in count_parts(range(samples), "smoothgrad", total=samples, unit="sample"):
            drawn = torch.randn(pixels.shape, generator=generator, device=generator.device)
            noisy = pixels + noise * spans * drawn.to(pixels)
            noisy = noisy.clamp(0, 1) if part.bounded else noisy
            total += torch.cat([find_slopes(one, some)[0] for one, some in batches(part, noisy)])
        return total / samples

    return FoundRelevance(*explain_each(score, images, smooth), say_slopes(samples, noise))


def say_slopes(samples: int, noise: float) -> str:
    """Say what was done."""
    return (
        f"A pixel's number is the slope of the score there, the mean over {samples:,} noisy copies "
        f"of the image (noise of {noise:.0%} of its range), in units of the score per unit of the "
        "pixel's value."
    )


SMOOTHGRAD = Method("smoothgrad", smoothgrad, adds_up=False, lighter="evidence")
