"""The straight path from a baseline to an image, and gradients along it back to the pixels.

Sundararajan, Taly and Yan (2017), arXiv:1703.01365, equation 1.
"""

import importlib
import warnings
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from whence.attribution.baseline_images import Baseline
from whence.attribution.plain_attention import PlainAttention
from whence.attribution.score import NO_GRADIENT
from whence.bounds import check_number
from whence.data.augment import to_float
from whence.memory.bank import take_images
from whence.models.classifier import Classifier


def midpoints(steps: int) -> tuple[Tensor, Tensor]:
    """Cut [0, 1] into equal parts and stand in the middle of each.

    Args:
        steps: how many parts.

    Returns:
        `(steps,)` points and `(steps,)` shares of the integral, float64.

    Raises:
        ValueError: if there is no step.

    >>> midpoints(2)
    (tensor([0.2500, 0.7500], dtype=torch.float64), tensor([0.5000, 0.5000], dtype=torch.float64))
    """
    check_number("steps", steps)
    times = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return times, torch.full((steps,), 1 / steps, dtype=torch.float64)


def crowd_start(steps: int) -> tuple[Tensor, Tensor]:
    """Cut [0, 1] into parts that are the shorter the nearer they are to 0, and stand within each.

    They are the squares of :func:`midpoints`: a network changes most where an image begins to
    differ from the baseline. Every third point for three times as many steps is one for ``steps``,
    with a third of its share.

    Args:
        steps: how many parts.

    Returns:
        `(steps,)` points and `(steps,)` shares of the integral, float64.

    >>> crowd_start(2)
    (tensor([0.0625, 0.5625], dtype=torch.float64), tensor([0.2500, 0.7500], dtype=torch.float64))
    """
    roots, shares = midpoints(steps)
    return roots.square(), 2 * roots * shares


def balance_points(times: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Move points towards 0 or 1, all by one factor, until their mean by shares is 1/2.

    A gradient that grows at an even rate, as that of a quadratic score does, is then added up
    exactly.

    >>> balance_points(*crowd_start(2))
    (tensor([0.0714, 0.6429], dtype=torch.float64), tensor([0.2500, 0.7500], dtype=torch.float64))
    """
    return times * (shares.sum() / 2 / (shares * times).sum()), shares


def move(images: Tensor, times: Tensor, baseline: Baseline) -> tuple[Tensor, Tensor]:
    """Put every image on its path.

    Args:
        images: `(n, C, H, W)` uint8 or float in [0, 1].
        times: `(n,)` 0 is the baseline, 1 the image; their dtype is the result's.
        baseline: from ``BASELINES``.

    Returns:
        The points `(n, C, H, W)` in [0, 1], and image minus baseline.
    """
    ends = to_float(images).to(times.dtype)
    starts = baseline(ends)
    changes = ends - starts
    points = starts + times[:, None, None, None] * changes
    return points.clamp(0, 1), changes  # rounding may leave [0, 1]


def walk_paths(
    images: Tensor, places: Tensor, times: Tensor, baseline: Baseline, *, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Put images on their paths, all of them at one time after the other.

    Args:
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        places: `(n,)` which of them.
        times: `(S,)`.
        baseline: from ``BASELINES``.
        batch_size: how many points at once.

    Yields:
        As ``move``: of the S n points, ordered by time, as many as were asked for.
    """
    total = len(places)
    points = torch.arange(len(times) * total, device=places.device)
    for p in points.split(batch_size):
        yield move(take_images(images, places[p % total]), times[p // total], baseline)


def encode_along(
    model: Classifier,
    images: Tensor,
    places: Tensor,
    times: Tensor,
    baseline: Baseline,
    *,
    batch_size: int,
) -> Tensor:
    """Encode images at several points of their paths, without a gradient.

    Args:
        model: in eval mode.
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        places: `(n,)` which of them.
        times: `(S,)`.
        baseline: from ``BASELINES``.
        batch_size: how many points are encoded at once.

    Returns:
        Features `(S, n, D)`.
    """
    features = []
    with torch.no_grad():
        for at, _ in walk_paths(images, places, times, baseline, batch_size=batch_size):
            features.append(model.encode(at))
    return torch.cat(features).view(len(times), len(places), -1)


def differentiate_along(
    model: Classifier,
    images: Tensor,
    places: Tensor,
    times: Tensor,
    baseline: Baseline,
    *,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Encode images at several points of their paths, and differentiate along the path.

    Forward-mode differentiation: one pass for each point, whatever is asked of it later. Attention
    layers take their plain form for it, since the fused ones know the backward mode only.

    Args:
        model: in eval mode.
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        places: `(n,)` which of them.
        times: `(S,)`.
        baseline: from ``BASELINES``.
        batch_size: how many points are encoded at once.

    Returns:
        Features `(S, n, D)`, and by how much they change per unit of time, `(S, n, D)`.

    Raises:
        RuntimeError: if a layer of the encoder has no forward-mode derivative.
    """
    load_forward_mode()
    features, changes = [], []
    for at, direction in walk_paths(images, places, times, baseline, batch_size=batch_size):
        try:
            with PlainAttention():
                found, change, *_ = torch.func.jvp(model.encode, (at,), (direction,))
        except RuntimeError as error:  # the encoder ran before, so forward mode is what fails
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise RuntimeError(
                "The encoder has a layer without a forward-mode derivative, which memory='all' "
                f"needs ({str(error).splitlines()[0]}); use memory='evidence'."
            ) from error
        features.append(found.detach())
        changes.append(change.detach())
    shape = len(times), len(places), -1
    return torch.cat(features).view(shape), torch.cat(changes).view(shape)


@cache
def load_forward_mode() -> None:
    """Let PyTorch script its own forward-mode formulas, once and in silence.

    It does so at the first derivative, when another thread may be at work: a filter of warnings is
    one for the whole process.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def pull_back(
    model: Classifier, images: Tensor, times: Tensor, gradients: Tensor, baseline: Baseline
) -> Tensor:
    """Bring gradients with respect to features back to the pixels, times image minus baseline.

    Args:
        model: in eval mode.
        images: `(n, C, H, W)` uint8 or float in [0, 1].
        times: `(n,)` the point of each on its path.
        gradients: `(n, D)` of the score with respect to the features at that point.
        baseline: from ``BASELINES``.

    Returns:
        Relevance `(n, C, H, W)`, in units of the score.

    Raises:
        RuntimeError: if the encoder lets no gradient through.
    """
    points, changes = move(images, times, baseline)
    points.requires_grad_()
    features = model.encode(points)
    found = None
    if features.requires_grad:
        arriving = gradients.to(features.dtype)
        (found,) = torch.autograd.grad(features, points, arriving, allow_unused=True)
    if found is None:
        raise RuntimeError(NO_GRADIENT)
    relevance: Tensor = found * changes
    return relevance
