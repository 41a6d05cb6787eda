"""Sharpness-aware steps: the gradient is taken where the loss is highest near the parameters."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import torch
from torch import nn


def choose_climb(
    module: nn.Module, radius: float
) -> Callable[[], AbstractContextManager[None]] | None:
    """Return what moves a module's parameters uphill; None for the radius 0."""
    return partial(move_uphill, module, radius) if radius > 0 else None


@contextmanager
@torch.no_grad()
def move_uphill(module: nn.Module, radius: float) -> Iterator[None]:
    """Move the parameters along their gradient while the context lasts, then put them back.

    By ``radius * gradient / |gradient|``, the norm over all parameters together (Foret et al. 2021,
    arXiv:2010.01412, equation 2). Gradients that are computed meanwhile stay; running statistics,
    which belong to the parameters, are put back.

    Args:
        module: whose parameters have gradients, some of them at least.
        radius: how far, above 0.
    """
    moved = [one for one in module.parameters() if one.grad is not None]
    kept = [(tensor, tensor.clone()) for tensor in (*moved, *module.buffers())]
    gradients = [one.grad for one in moved if one.grad is not None]
    norm = torch.stack([one.norm() for one in gradients]).norm()
    for one, gradient in zip(moved, gradients, strict=True):
        one.add_(gradient.to(one.dtype) * (radius / norm.clamp_min(1e-12)))
    try:
        with torch.enable_grad():
            yield
    finally:
        for tensor, before in kept:
            tensor.copy_(before)
