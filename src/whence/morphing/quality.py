"""How good others and masks are: pure functions, one number per image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.shapes import check_shape

NEAREST = 5
EPSILON = 1e-8

Reconstruct = Callable[[Tensor], Tensor]
"""What maps images `(B, C, H, W)` to their reconstructions."""


def validity(logits: Tensor, wanted: Tensor) -> Tensor:
    """Say which images a classifier puts in the wanted class; higher is better.

    Args:
        logits: `(B, K)` of the first or of any other classifier.
        wanted: `(B,)` the class of other.

    Returns:
        `(B,)` 1.0 or 0.0.
    """
    sizes = check_shape("logits", logits, "B K")
    check_shape("wanted", wanted, "B", B=sizes["B"])
    return (logits.argmax(1) == wanted.to(logits.device)).float()


def pixel_proximity(images: Tensor, others: Tensor) -> Tensor:
    """Sum absolute differences of pixels, `(B,)`, in units of pixels in [0, 1]; lower is nearer.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        others: `(B, C, H, W)` in [0, 1].
    """
    sizes = check_shape("images", images, "B C H W")
    check_shape("others", others, "B C H W", **sizes)
    return (images - others).abs().flatten(1).sum(1)


def code_proximity(codes: Tensor, others: Tensor) -> Tensor:
    """Compute the cosine of codes `(B, Z)`, `(B,)` in [-1, 1]; higher is nearer."""
    sizes = check_shape("codes", codes, "B Z")
    check_shape("others", others, "B Z", **sizes)
    return F.cosine_similarity(codes, others, dim=1)


def distance_to_real(
    images: Tensor,
    wanted: Tensor,
    stored: Tensor,
    labels: Tensor,
    *,
    nearest: int = NEAREST,
) -> Tensor:
    """Average the Euclidean distance in pixels to the nearest real images of a class.

    Args:
        images: `(B, C, H, W)` float in [0, 1].
        wanted: `(B,)` the class of each.
        stored: `(N, C, H, W)` real images, float in [0, 1].
        labels: `(N,)` their classes.
        nearest: how many are averaged.

    Returns:
        `(B,)`; lower is more real.

    Raises:
        ValueError: if shapes do not fit, or a class has fewer real images than that.
    """
    sizes = check_shape("images", images, "B C H W")
    check_shape("wanted", wanted, "B", B=sizes["B"])
    real = check_shape("stored", stored, "N C H W", **{name: sizes[name] for name in "CHW"})
    check_shape("labels", labels, "N", N=real["N"])
    if nearest < 1:
        raise ValueError(f"nearest must be at least 1, got {nearest}.")
    found = images.new_zeros(sizes["B"])
    for label in wanted.unique().tolist():
        rows = (wanted == label).nonzero().squeeze(1).to(images.device)
        of_class = stored[(labels == label).to(stored.device)].to(images)
        if len(of_class) < nearest:
            raise ValueError(
                f"Class {label} must have at least {nearest} real images to compare with, "
                f"got {len(of_class)}."
            )
        apart = torch.cdist(images[rows].flatten(1), of_class.flatten(1))
        found[rows] = apart.topk(nearest, dim=1, largest=False).values.mean(1)
    return found


def im1(images: Tensor, of_other: Reconstruct, of_self: Reconstruct) -> Tensor:
    """Compare how well two class autoencoders reconstruct; lower lies more in the other class.

    IM1 of Van Looveren and Klaise (2019), arXiv:1907.02584:
    ``||x - AE_other(x)||^2 / (||x - AE_self(x)||^2 + 1e-8)``, of each image. What the whole batch
    shares are the autoencoders, so call it once per pair of classes.

    Args:
        images: `(B, C, H, W)` others, in [0, 1].
        of_other: the autoencoder trained on images of the class of other alone.
        of_self: the one of the class of self.

    Returns:
        `(B,)`, at least 0.

    Raises:
        ValueError: if shapes do not fit.
    """
    numerator = squared_distance(images, reconstruct(of_other, images))
    return numerator / (squared_distance(images, reconstruct(of_self, images)) + EPSILON)


def im2(images: Tensor, of_other: Reconstruct, of_all: Reconstruct) -> Tensor:
    """Compare the reconstructions by a class autoencoder and by one of all; lower is more real.

    IM2 of Van Looveren and Klaise (2019), arXiv:1907.02584:
    ``||AE_other(x) - AE(x)||^2 / (||x||_1 + 1e-8)``, of each image.

    Args:
        images: `(B, C, H, W)` others, in [0, 1].
        of_other: the autoencoder trained on images of the class of other alone.
        of_all: the one trained on all classes.

    Returns:
        `(B,)`, at least 0.

    Raises:
        ValueError: if shapes do not fit.
    """
    numerator = squared_distance(reconstruct(of_other, images), reconstruct(of_all, images))
    return numerator / (images.abs().flatten(1).sum(1) + EPSILON)


def reconstruct(by: Reconstruct, images: Tensor) -> Tensor:
    """Reconstruct images `(B, C, H, W)` without gradients, and check that the size stays.

    Raises:
        ValueError: if an image of another size comes back.
    """
    sizes = check_shape("images", images, "B C H W")
    with torch.no_grad():
        made = by(images)
    check_shape("the reconstruction", made, "B C H W", **sizes)
    return made.to(images)


def squared_distance(images: Tensor, others: Tensor) -> Tensor:
    """Sum squared differences of images, `(B,)`."""
    return (images - others).square().flatten(1).sum(1)


def sparsity(masks: Tensor, *, threshold: float = 0.1) -> Tensor:
    """Measure the fraction of pixels of masks `(B, H, W)` that hardly follow; higher is sparser.

    Args:
        masks: in [0, 1].
        threshold: below that a pixel hardly follows.

    Returns:
        `(B,)` in [0, 1].
    """
    check_shape("masks", masks, "B H W")
    return (masks < threshold).flatten(1).double().mean(1).float()
