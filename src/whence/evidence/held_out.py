"""What the other labelled images say an image is: ridge regression, each image left out exactly."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.memory.cosine import to_unit_length

PART = 3000
"""Images that are fitted together, at most; the time grows with the cube of their number."""

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Added to the diagonal of the kernel, tried in turn."""

SURENESSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""By what the regression's answers may be multiplied before the softmax."""


class HeldOut(NamedTuple):
    """Answers for images by a regression on others, and what was chosen for it."""

    shares: Tensor  # (N, K) float32, rows sum to one
    ridge: float


def divide_evenly(labels: Tensor, parts: int) -> Tensor:
    """Number images `(N,)` by the part that they belong to, each part with its share of a class.

    >>> divide_evenly(torch.tensor([0, 0, 1, 0, 1, 0]), 2).tolist()
    [0, 1, 0, 0, 1, 1]
    """
    order = labels.argsort(stable=True)
    found = torch.empty_like(labels)
    found[order] = torch.arange(len(labels), device=labels.device) % parts
    return found


def even_out(features: Tensor) -> Tensor:
    """Centre features `(N, D)`, divide them by the root of their deviation, at length one."""
    centred = features.double() - features.double().mean(0)
    deviation = centred.square().mean(0).sqrt()  # (D,)
    least = (deviation.mean() / 100).clamp_min(torch.finfo(torch.float32).tiny)
    return to_unit_length(centred / deviation.clamp_min(least).sqrt())


def answer_held_out(
    features: Tensor,
    labels: Tensor,
    groups: Tensor,
    classes: int,
    *,
    ridges: tuple[float, ...] = RIDGES,
) -> HeldOut:
    """Answer for every image by kernel ridge regression on all others, exactly and in one go.

    The kernel is exp(cosine - 1) of evened features, the targets are the classes. With G the places
    of an image and its copies, and A = (kernel + ridge)^-1 Y, the regression without them answers
    Y_G - ((kernel + ridge)^-1_GG)^-1 A_G (Rasmussen and Williams 2006, 5.4.2). The ridge, and by
    what answers are multiplied before the softmax, are those with which the labels are likeliest.

    Args:
        features: `(N, D)`.
        labels: `(N,)`.
        groups: `(N,)` numbers that copies share; all copies are left out together.
        classes: K.
        ridges: of which one is chosen.
    """
    even = even_out(features)
    kernel = (even @ even.T - 1).exp()  # (N, N)
    targets = F.one_hot(labels, classes).double()  # (N, K)
    _, numbers, sizes = groups.unique(return_inverse=True, return_counts=True)
    copied = (sizes > 1).nonzero().squeeze(1).tolist()
    best, found = math.inf, HeldOut(targets.float(), ridges[0])
    for ridge in ridges:
        inverse = torch.linalg.inv(kernel + ridge * torch.eye(len(kernel)).to(kernel))
        fitted = inverse @ targets  # (N, K)
        answers = targets - fitted / inverse.diagonal()[:, None]
        for number in copied:
            own = (numbers == number).nonzero().squeeze(1)
            block = inverse[own[:, None], own]
            answers[own] = targets[own] - torch.linalg.solve(block, fitted[own])
        for sureness in SURENESSES:
            shares = (answers * sureness).log_softmax(1)
            loss = float(F.nll_loss(shares, labels))
            if loss < best:
                best, found = loss, HeldOut(shares.exp().float(), ridge)
    return found
