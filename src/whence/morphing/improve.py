"""A code that keeps the classifier's two top classes, by descent where sampling found none."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, absolute_distance
from whence.bounds import BATCH_SIZE
from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.morphing.answers import blank_broken
from whence.shapes import check_batch_size

MARGIN = 0.1
"""By how much the first logit must exceed the second, and that the third: rounding is far below."""


@dataclass(frozen=True)
class Descent:
    """How codes are improved.

    Attributes:
        steps: of Adam, at most, for each image.
        rate: of Adam, per step, in units of the code (its prior has deviation 1).
        closeness: what a mean absolute difference of 1 from the image weighs against one logit; it
            falls linearly to 0 over the steps, so that the classes decide in the end.
    """

    steps: int = 400
    rate: float = 0.03
    closeness: float = 20.0


class Improved(NamedTuple):
    """Codes `(B, Z)`, whether each keeps the two classes `(B,)`, and steps taken `(B,)`."""

    codes: Tensor
    found: Tensor
    steps: Tensor


def improve_codes(
    model: Classifier,
    vae: VAE,
    images: Tensor,
    codes: Tensor,
    wanted: Tensor,
    *,
    descent: Descent | None = None,
    batch_size: int = BATCH_SIZE,
) -> Improved:
    """Change codes until the classifier puts their decodings into the wanted two classes, in order.

    All images go down at once, by Adam, on what their order of classes lacks plus the distance of
    the decoding from the image in L1. Each stops at its first code that has the order by
    ``MARGIN``, which is close to where it started because the steps are small.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        vae: of the same images; left as it was.
        images: `(B, C, H, W)` float in [0, 1], on the autoencoder's device.
        codes: `(B, Z)` where to start.
        wanted: `(B, 2)` the class that is to be first, and the one that is to be second.
        descent: steps and weights; None is the default.
        batch_size: images improved at once; changes memory use, and the result by rounding only.

    Returns:
        Where nothing was found, the code that lacked least. An image whose numbers become NaN stops
        there, and keeps the code before.
    """
    check_batch_size(batch_size)
    parts = [
        go_down(model, vae, *batch, descent or Descent())
        for batch in zip(
            images.split(batch_size),
            codes.split(batch_size),
            wanted.split(batch_size),
            strict=True,
        )
    ]
    if not parts:
        none = torch.zeros(0, device=codes.device)
        return Improved(codes, none.bool(), none.long())
    return Improved(*(torch.cat(column) for column in zip(*parts, strict=True)))


def go_down(
    model: Classifier, vae: VAE, images: Tensor, codes: Tensor, wanted: Tensor, descent: Descent
) -> Improved:
    """Improve one batch; the rows that are still at work get fewer as images stop."""
    best, least = codes.clone(), torch.full_like(codes[:, 0], torch.inf)
    found = torch.zeros(len(codes), dtype=torch.bool, device=codes.device)
    taken = torch.full((len(codes),), descent.steps, device=codes.device)
    rows = torch.arange(len(codes), device=codes.device)  # (b,) still at work
    at, first, second = codes.clone(), torch.zeros_like(codes), torch.zeros_like(codes)
    with evaluating(model), evaluating(vae):
        for step in range(descent.steps + 1):
            weight = descent.closeness * (1 - step / max(descent.steps, 1))
            lacking, gradient = look(model, vae, at, images[rows], wanted[rows], weight)
            better = lacking < least[rows]
            least[rows[better]], best[rows[better]] = lacking[better], at[better]
            done = lacking == 0
            found[rows[done]], taken[rows[done]] = True, step
            on = ~done & gradient.isfinite().all(1) & lacking.isfinite()
            rows, at, gradient, first, second = (
                rows[on],
                at[on],
                gradient[on],
                first[on],
                second[on],
            )
            if len(rows) == 0 or step == descent.steps:
                break
            at, first, second = adam(at, gradient, first, second, step + 1, descent.rate)
    return Improved(best, found, taken)


def look(
    model: Classifier, vae: VAE, codes: Tensor, images: Tensor, wanted: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """Measure what codes `(b, Z)` lack, and the gradient of that plus the weighted distance.

    Returns:
        `(b,)`, NaN where a decoding is, and `(b, Z)`.
    """
    with torch.enable_grad():
        leaf = codes.detach().requires_grad_()
        decoded, whole = blank_broken(vae.decode(leaf))
        lacking = lack_of_order(at_least_float32(model.logits(decoded)).to(leaf), wanted)
        aim = lacking + weight * absolute_distance(decoded, images).to(leaf)
        (gradient,) = torch.autograd.grad(aim.sum(), leaf)
    return lacking.detach().masked_fill(~whole, torch.nan), gradient


def lack_of_order(logits: Tensor, wanted: Tensor, *, margin: float = MARGIN) -> Tensor:
    """Sum by how much the first class fails to lead the second, and that all others.

    Args:
        logits: `(B, K)`.
        wanted: `(B, 2)` the first and the second class.
        margin: the lead, in logits, from which on nothing lacks.

    Returns:
        `(B,)`, 0 where both leads are at least the margin.

    >>> lack_of_order(torch.tensor([[2.0, 1.0, 3.0]]), torch.tensor([[0, 1]]), margin=0.5)
    tensor([2.5000])
    """
    first, second = logits.gather(1, wanted).unbind(1)
    others = logits.scatter(1, wanted, -torch.inf).amax(1)  # -inf if there are two classes only
    return (second - first + margin).relu() + (others - second + margin).relu()


def adam(
    at: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Take one step of Adam from each row on its own. Kingma and Ba (2015), arXiv:1412.6980.

    Args:
        at: `(b, Z)` where the rows are.
        gradient: `(b, Z)` there.
        first: `(b, Z)` running mean of the gradient.
        second: `(b, Z)` running mean of its square.
        step: how many this is, from 1.
        rate: the step's length, at most about.

    Returns:
        New ``at``, ``first`` and ``second``.
    """
    first = first.lerp(gradient, 0.1)
    second = second.lerp(gradient.square(), 0.001)
    scale = (second / (1 - 0.999**step)).sqrt() + 1e-8
    return at - rate * first / (1 - 0.9**step) / scale, first, second
