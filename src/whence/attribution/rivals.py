"""The nearest image of another class."""

import torch
from torch import Tensor

from whence.attribution.baseline_images import inside
from whence.attribution.score import Score
from whence.data.augment import to_float
from whence.shapes import check_shape

COMPARED_AT_ONCE = 1024
"""Stored images that are compared at once."""


def find_rivals(score: Score, images: Tensor, rivals: Tensor | None) -> Tensor:
    """Check given images of another class, or take the nearest stored ones.

    Args:
        score: of B images.
        images: `(B, C, H, W)` in its precision.
        rivals: `(B, C, H, W)`; None looks among the stored images.

    Returns:
        `(B, C, H, W)` like the images.

    Raises:
        ValueError: if there are none, or they do not fit.
    """
    if rivals is not None:
        check_shape("rivals", rivals, "B C H W", **dict(zip("BCHW", images.shape, strict=True)))
        given = to_float(rivals) if rivals.dtype == torch.uint8 else rivals.detach()
        if not bool(given.isfinite().all()) or (score.bounded and not inside(given)):
            wanted = "in [0, 1], as pixels are" if score.bounded else "finite numbers"
            low, high = float(given.min()), float(given.max())
            raise ValueError(f"rivals must be {wanted}, got numbers from {low:.3g} to {high:.3g}.")
        return given.to(images)
    stored = score.stored
    if stored is None:
        raise ValueError(
            "taylor needs rivals, images (B, C, H, W) of another class: the model has no stored "
            "images that it could take."
        )
    answers = stored.answers[:, None].to(stored.labels)
    allowed = (stored.labels >= 0) & (stored.labels != answers)  # (B, M)
    if stored.allowed is not None:
        allowed &= stored.allowed.to(allowed.device)
    lonely = (~allowed.any(1)).nonzero()
    if len(lonely):
        raise ValueError(
            f"taylor needs a stored image of another class than that of image {int(lonely[0])}, "
            "and the memory has none whose label is known; give rivals."
        )
    places = find_nearest_rival(images, stored.images, allowed.to(images.device))
    taken = stored.images[places.to(stored.images.device)]
    return to_float(taken).to(images)


def find_nearest_rival(images: Tensor, stored: Tensor, allowed: Tensor) -> Tensor:
    """Find the nearest allowed stored image of each, by the Euclidean distance of their pixels.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        stored: `(M, C, H, W)` uint8 or in [0, 1], on any device.
        allowed: `(B, M)` bool.

    Returns:
        `(B,)` places.
    """
    flat = images.flatten(1)
    distances = [
        torch.cdist(flat, to_float(some).to(images).flatten(1))
        for some in stored.split(COMPARED_AT_ONCE)
    ]
    return torch.cat(distances, 1).masked_fill(~allowed, torch.inf).argmin(1)
