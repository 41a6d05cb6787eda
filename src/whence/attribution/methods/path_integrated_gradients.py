"""Integrated Gradients along a path that is given image by image."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score, batches, find_slopes
from whence.shapes import check_shape

NEAR = 1e-5
"""How far the end of a path may be from the image it leads to."""


def path_integrated_gradients(score: Score, images: Tensor, *, path: Tensor) -> FoundRelevance:
    """Split the change of a score along a path over the pixels.

    Sundararajan, Taly and Yan (2017), arXiv:1703.01365, section 3 (path methods): the integral of
    the gradient times the step, here by the trapezoidal rule. The evidence stays as it is.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        path: `(B, S, C, H, W)` images, in the units of ``images``; the last is the image itself.

    Returns:
        Signed shares in score units; they add up to the score's change from the first image of the
        path to the last, but for what the trapezoidal rule misses between the images.

    Raises:
        ValueError: if the path has another shape, holds a single image, or ends elsewhere.
    """
    sizes = check_shape("images", images, "B C H W")
    steps = check_shape("path", path, "B S C H W", **sizes)["S"]
    if steps < 2:
        raise ValueError(f"path must hold at least 2 images for each image, got {steps}.")
    ends, points = score.pixels(images), score.pixels(path.flatten(0, 1))  # (B * S, C, H, W)
    apart = float((points.view(path.shape)[:, -1] - ends).abs().max()) if len(images) else 0.0
    if not apart <= NEAR:
        raise ValueError(f"path must end at the images, its last image is up to {apart:.3g} away.")
    every = score.take(torch.arange(len(images)).repeat_interleave(steps))
    slopes = torch.cat([find_slopes(part, some)[0] for part, some in batches(every, points)])
    middle = slopes.view(path.shape)
    middle = (middle[:, 1:] + middle[:, :-1]) / 2  # (B, S - 1, C, H, W)
    relevance = (middle * points.view(path.shape).diff(dim=1)).sum(1)
    with torch.no_grad():
        heights = [part(some) for part, some in batches(score, path[:, 0])]
    return FoundRelevance(
        relevance,
        None,
        "A pixel's number is its share of the change of the score along the path that was given "
        f"({steps} images), in units of the score.",
        start=torch.cat(heights),
        lines={},
    )


PATH_INTEGRATED_GRADIENTS = Method(
    "path_integrated_gradients", path_integrated_gradients, adds_up=True
)
