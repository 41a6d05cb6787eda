"""Semantic morphing and path mask exactly as in the thesis: one image, one update at a time.

The slow, obvious version that the fast one of whence is measured against and tested with.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.autoencoders.vae import VAE
from whence.models.classifier import Classifier


def morph_slowly(
    model: Classifier,
    vae: VAE,
    code: Tensor,
    pair: tuple[int, int],
    mean_norm: float,
    *,
    weight: float = 0.1,
    steps: int = 5000,
) -> tuple[Tensor, int, bool]:
    """Morph one code `(Z,)` (section 4.5); return the last code, the steps, and whether it came.

    Model and autoencoder must be in eval mode, and of parameters that need no gradient.
    """
    own, other = pair
    code = code.clone().requires_grad_()
    optimizer = torch.optim.Adam([code], lr=1e-3)
    goals = penalties = 0.0  # sums so far; their ratio is that of the running averages
    for step in range(steps + 1):
        logits = model(vae.decode(code[None]))[0]
        goal = logits[other]
        penalty = (code.norm() - mean_norm) ** 2
        one = torch.stack([logits[own], logits[other]]).softmax(0).detach()
        entropy = -sum(p * p.log2() for p in one if p > 0)
        if entropy < 0.01 and logits.softmax(0)[other] > 0.5:
            return code.detach(), step, True
        if step == steps:
            break
        goals += abs(goal.item())
        penalties += penalty.item()
        scale = goals / penalties if penalties > 0 else 0.0
        optimizer.zero_grad()
        (-goal + weight * scale * penalty).backward()
        optimizer.step()
    return code.detach(), steps, False


def mask_slowly(
    model: Classifier,
    path: Tensor,
    own: int,
    *,
    weight: float = 1.0,
    blur: float = 1.0,
    steps: int = 3000,
) -> Tensor:
    """Find the mask `(H, W)` of one path `(S, C, H, W)` (section 4.6), every step in every update.

    The model must be in eval mode, and of parameters that need no gradient.
    """
    with torch.no_grad():
        start = model(path[:-1]).softmax(1)[:, own]
    variable = torch.full(path.shape[2:], 0.5, dtype=path.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([variable], lr=1e-3)
    goals = penalties = 0.0
    for _ in range(steps):
        mask = gaussian_blur(variable, blur)
        masked = (1 - mask) * path[:-1] + mask * path[1:]
        goal = (model(masked.clamp(0, 1)).softmax(1)[:, own] - start).sum()
        penalty = mask.abs().sum()
        goals += abs(goal.item())
        penalties += penalty.item()
        scale = goals / penalties
        optimizer.zero_grad()
        (-goal + weight * scale * penalty).backward()
        optimizer.step()
        with torch.no_grad():
            variable.clamp_(0, 1)
    return gaussian_blur(variable.detach(), blur)


def gaussian_blur(image: Tensor, deviation: float) -> Tensor:
    """Blur `(H, W)` by a Gaussian; pixels outside do not count."""
    reach = math.ceil(4 * deviation)
    places = torch.arange(-reach, reach + 1, dtype=image.dtype)
    line = torch.exp(-(places**2) / (2 * deviation**2))
    kernel = torch.outer(line, line)[None, None]
    whole = F.conv2d(torch.ones_like(image)[None, None], kernel, padding=reach)
    return (F.conv2d(image[None, None], kernel, padding=reach) / whole)[0, 0]
