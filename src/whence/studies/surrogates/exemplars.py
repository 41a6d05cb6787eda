"""Exemplars: the nearest image of another class, on an autoencoder's manifold or in pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.morphing.improve import adam
from whence.shapes import check_shape


@dataclass(frozen=True)
class ExemplarPlan:
    """How exemplars are searched for.

    Attributes:
        steps: of Adam.
        rate: of Adam, in units of a code (or of a pixel).
        weight: lambda, of the cross-entropy with the wanted class beside the squared distance.
    """

    steps: int = 200
    rate: float = 0.05
    weight: float = 10.0


class Exemplars(NamedTuple):
    """Images `(B, C, H, W)` and whether each is in the wanted class, `(B,)`."""

    images: Tensor
    found: Tensor


def search_exemplars(
    model: Classifier,
    images: Tensor,
    wanted: Tensor,
    start: Tensor,
    make: Callable[[Tensor], Tensor],
    plan: ExemplarPlan,
) -> Exemplars:
    """Go down on ``|x - G(z)|_2^2 + lambda * cross-entropy(f(G(z)), wanted)`` from each start.

    Joshi, Koyejo, Kim and Ghosh (2018), "xGEMs: generating examplars to explain black-box models",
    arXiv:1806.08867, equation 3. Of all images on the way that the classifier puts in the wanted
    class the nearest is kept; where there is none, the last.

    Args:
        model: any classifier, in eval mode.
        images: `(B, C, H, W)` in [0, 1].
        wanted: `(B,)` classes.
        start: `(B, ...)` where to start: codes, or the images themselves.
        make: G, from there to images; the identity searches pixels, where nothing keeps an image
            real.
        plan: steps and weights.
    """
    sizes = check_shape("images", images, "B C H W")
    check_shape("wanted", wanted, "B", B=sizes["B"])
    best, least = images.clone(), images.new_full((len(images),), torch.inf)
    at, first, second = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    with evaluating(model):
        for step in range(plan.steps + 1):
            with torch.enable_grad():
                leaf = at.detach().requires_grad_()
                made = make(leaf)
                logits = model.logits(made)
                away = (made - images).square().flatten(1).sum(1)
                cost = away + plan.weight * F.cross_entropy(logits, wanted, reduction="none")
                (slope,) = torch.autograd.grad(cost.sum(), leaf)
            inside = logits.argmax(1) == wanted
            better = (inside & (away < least)).detach()
            none = ~least.isfinite() & ~better
            best = torch.where((better | none)[:, None, None, None], made.detach(), best)
            least = torch.where(better, away.detach(), least)
            at, first, second = adam(at, slope, first, second, step + 1, plan.rate)
    return Exemplars(best, least.isfinite())


def in_pixels(images: Tensor) -> Tensor:
    """Return the images themselves, cut to [0, 1]."""
    return images.clamp(0, 1)
