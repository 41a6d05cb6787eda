"""Counterfactuals made by a search that a prototype of the other class guides (CFProto)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from sklearn.neighbors import KDTree
from torch import Tensor

from whence.shapes import check_shape

Differentiable = Callable[[Tensor], Tensor]
"""Maps images `(B, C, H, W)` in [0, 1] to a row of numbers for each, with a gradient."""


@dataclass(frozen=True)
class Guidance:
    """How counterfactuals are searched for; the letters are those of the publication.

    Attributes:
        steps: of the search, for each c.
        rate: of the first step; it falls with the root of what is left.
        doublings: how often c is chosen: halved for an image with a counterfactual, else tenfold.
        prediction: c, what a probability of the old class above all others costs, at the start.
        sparsity: beta, of the sum of absolute changes.
        realism: gamma, of the squared error of the autoencoder's reconstruction.
        prototype: theta, of the squared distance from the prototype.
    """

    steps: int = 200
    rate: float = 1e-2
    doublings: int = 2
    prediction: float = 1.0
    sparsity: float = 0.1
    realism: float = 1.0
    prototype: float = 1.0


class Guided(NamedTuple):
    """Counterfactuals `(B, C, H, W)` (the images themselves where none is), and which are found."""

    images: Tensor
    found: Tensor


def search_with_prototype(
    images: Tensor,
    targets: Tensor,
    prototypes: Tensor,
    *,
    logits: Differentiable,
    embed: Differentiable,
    rebuild: Differentiable,
    guidance: Guidance,
) -> Guided:
    """Search the nearest image that a classifier puts in a target class, near a prototype.

    Van Looveren and Klaise (2019), arXiv:1907.02584, equations 1 to 4 and algorithm 1: accelerated
    steps on the smooth terms (FISTA; Beck and Teboulle 2009), each followed by shrinking the change
    by beta and by cutting to [0, 1]. Of all images on the way that are in the target class the
    one with the smallest ``beta |d|_1 + |d|_2^2`` is kept.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        targets: `(B,)` the class that each is to come into.
        prototypes: `(B, Z)` where each is guided to, as ``embed`` gives it.
        logits: of the classifier.
        embed: images to what prototypes are compared with: codes, or the pixels themselves.
        rebuild: images to their reconstructions.
        guidance: steps and weights.
    """
    sizes = check_shape("images", images, "B C H W")
    check_shape("targets", targets, "B", B=sizes["B"])
    with torch.no_grad():
        own = logits(images).argmax(1)
    best, least = images.clone(), images.new_full((len(images),), torch.inf)
    weight = images.new_full((len(images),), guidance.prediction)
    for _ in range(guidance.doublings):
        now, ahead = images, images
        reached = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        for step in range(guidance.steps):
            with torch.enable_grad():
                at = ahead.detach().requires_grad_()
                costs = (
                    weight * lead(logits(at), own)
                    + (at - images).square().flatten(1).sum(1)
                    + guidance.realism * (at - rebuild(at)).square().flatten(1).sum(1)
                    + guidance.prototype * (embed(at) - prototypes).square().flatten(1).sum(1)
                )
                (slope,) = torch.autograd.grad(costs.sum(), at)
            rate = guidance.rate * (1 - step / guidance.steps) ** 0.5
            new = shrink_change(ahead - rate * slope, images, guidance.sparsity)
            ahead, now = (new + step / (step + 3) * (new - now)).clamp(0, 1), new
            with torch.no_grad():
                inside = logits(now).argmax(1) == targets
            away = measure_change(now - images, guidance.sparsity)
            better = inside & (away < least)
            best = torch.where(better[:, None, None, None], now, best)
            least = torch.where(better, away, least)
            reached |= inside
        weight = torch.where(reached, weight / 2, weight * 10)
    return Guided(best, least.isfinite())


def lead(logits: Tensor, own: Tensor) -> Tensor:
    """Say by how much the probability of a class exceeds all others, `(B,)`, at least 0.

    >>> lead(torch.tensor([[0.0, 0.0], [0.0, 9.0]]), torch.tensor([0, 0]))
    tensor([0., 0.])
    """
    shares = logits.softmax(1)
    others = shares.scatter(1, own[:, None], -torch.inf).amax(1)
    return (shares.gather(1, own[:, None]).squeeze(1) - others).relu()


def shrink_change(moved: Tensor, images: Tensor, threshold: float) -> Tensor:
    """Bring every pixel nearer to the image by a threshold, and to [0, 1].

    The proximal operator of ``threshold * |moved - images|_1``.
    """
    change = moved - images
    return (images + change.sign() * (change.abs() - threshold).relu()).clamp(0, 1)


def measure_change(change: Tensor, sparsity: float) -> Tensor:
    """Compute ``beta |d|_1 + |d|_2^2`` of changes `(B, C, H, W)`, `(B,)`."""
    flat = change.flatten(1)
    return sparsity * flat.abs().sum(1) + flat.square().sum(1)


def mean_prototypes(codes: Tensor, classes: Tensor, targets: Tensor) -> Tensor:
    """Average the codes of the images that a classifier puts in each target class.

    Args:
        codes: `(N, Z)` of the training images.
        classes: `(N,)` that the classifier puts them in.
        targets: `(B,)`.

    Returns:
        `(B, Z)`, NaN for a class without images.
    """
    rows = {label: codes[classes == label].mean(0) for label in targets.unique().tolist()}
    return torch.stack([rows[label] for label in targets.tolist()])


def nearest_prototypes(images: Tensor, stored: Tensor, classes: Tensor, targets: Tensor) -> Tensor:
    """Find the pixels of the nearest training image of each target class, by trees of k-d.

    Args:
        images: `(B, C, H, W)`.
        stored: `(N, C, H, W)` training images.
        classes: `(N,)` that the classifier puts them in; every target class is among them.
        targets: `(B,)`.

    Returns:
        `(B, C * H * W)`.
    """
    found = images.flatten(1).clone()
    for label in targets.unique().tolist():
        rows = (targets == label).nonzero().squeeze(1)
        of_class = stored[classes == label].flatten(1)
        tree = KDTree(np.asarray(of_class))
        place = torch.from_numpy(tree.query(np.asarray(found[rows]), return_distance=False)[:, 0])
        found[rows] = of_class[place]
    return found
