"""Expected Gradients: Integrated Gradients from many images of the data instead of a plain one."""

import torch
from torch import Tensor

from whence.attribution.baseline_images import PathStart, find_start
from whence.attribution.found import FoundRelevance
from whence.attribution.mean_found import average_found
from whence.attribution.method import Method
from whence.attribution.methods.integrated_gradients import follow_straight_path
from whence.attribution.path import midpoints
from whence.attribution.progress import count_parts
from whence.attribution.score import Score
from whence.bounds import check_number
from whence.data.augment import to_float
from whence.memory.bank import take_images
from whence.messages import count
from whence.shapes import check_shape


def expected_gradients(
    score: Score,
    images: Tensor,
    *,
    generator: torch.Generator,
    samples: int = 16,
    steps: int = 8,
    baselines: Tensor | None = None,
) -> FoundRelevance:
    """Average Integrated Gradients over baselines that are drawn from the data.

    Erion et al. (2021), arXiv:1906.10670, equation 3. Unlike there, the whole path from each
    baseline is walked by the midpoint rule, so that what the numbers add up to is known: the score
    minus its mean at the baselines. Images and their evidence move together, from one baseline.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        generator: draws the baselines, the same for all images, with replacement.
        samples: baselines drawn.
        steps: points on the path from each.
        baselines: `(N, C, H, W)` in the units of ``images``, to draw from; None draws from the
            stored images of the model.

    Returns:
        Signed shares in score units; they add up to the score minus its mean at the baselines, but
        for what the midpoint rule misses.

    Raises:
        ValueError: if a number is out of its bounds, or there is nothing to draw from.
        RuntimeError: if the score has no gradient.
    """
    check_number("samples", samples)
    points, pool = midpoints(steps), find_pool(score, images, baselines)
    drawn = torch.randint(len(pool), (samples,), generator=generator, device=generator.device).cpu()
    starts = [find_start(one, images, pixels=score.bounded) for one in pick_floats(pool, drawn)]

    def follow(start: PathStart) -> FoundRelevance:
        return follow_straight_path(score, images, points, start=start, everything=False)

    counted = count_parts(starts, "expected_gradients", total=samples, unit="baseline")
    return average_found(map(follow, counted), samples, say_expectation(samples, steps, baselines))


def find_pool(score: Score, images: Tensor, baselines: Tensor | None) -> Tensor:
    """Choose the images `(N, C, H, W)` that baselines are drawn from.

    Raises:
        ValueError: if there are none, or they do not fit.
    """
    if baselines is not None:
        sizes = dict(zip("CHW", images.shape[1:], strict=True))
        if check_shape("baselines", baselines, "N C H W", **sizes)["N"] == 0:
            raise ValueError("baselines must hold at least one image to draw from, got none.")
        return baselines.detach()
    stored = score.stored
    if stored is None:
        raise ValueError(
            "expected_gradients needs baselines, images (N, C, H, W) to draw from: the model has "
            "no stored images that it could take."
        )
    return stored.images


def pick_floats(pool: Tensor, places: Tensor) -> Tensor:
    """Take images at ``places`` `(n,)`; what is uint8 becomes floats in [0, 1]."""
    taken = take_images(pool, places.to(pool.device))
    return to_float(taken) if taken.dtype == torch.uint8 else taken


def say_expectation(samples: int, steps: int, baselines: Tensor | None) -> str:
    """Say what was done."""
    points = count(steps, "step")
    source = "stored images" if baselines is None else "the images that were given"
    return (
        "A pixel's number is its share of the change of the score on the way from another image to "
        f"the images as they are, the mean over {samples:,} draws from {source} ({points} each), "
        "in units of the score."
    )


EXPECTED_GRADIENTS = Method("expected_gradients", expected_gradients, adds_up=True)
