"""Critical samples: images near which the answer changes, found by Langevin search."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class LangevinSearch(NamedTuple):
    """How it is searched.

    Attributes:
        radius: r, by how much each pixel may change.
        step: alpha, the size of a step.
        noise: beta, the deviation of what is added to each pixel of a step.
        steps: at most.
    """

    radius: float
    step: float
    noise: float
    steps: int


def find_critical(
    network: nn.Module, images: Tensor, search: LangevinSearch, *, generator: torch.Generator
) -> Tensor:
    """Say near which images another answer was found, `(N,)` bool.

    Arpit et al. (2017), algorithm 1 (LASS): steps along the sign of the slope of an output, with
    noise, cut to the box around the image. The output is here the log-probability of the strongest
    class but the first answer, and the slope is taken where the search is.

    Args:
        network: in eval mode, maps `(N, C, H, W)` to `(N, K)`.
        images: `(N, C, H, W)`.
        search: radius, step, noise and steps, in units of a pixel.
        generator: on the CPU, of the noise.
    """
    with torch.no_grad():
        answers = network(images).argmax(1)  # (N,)
    found = torch.zeros_like(answers, dtype=torch.bool)
    places = images.detach()
    for _ in range(search.steps):
        asked = places.clone().requires_grad_()
        scores = network(asked).log_softmax(1)  # (N, K)
        rivals = scores.detach().scatter(1, answers[:, None], -torch.inf).argmax(1)
        rising = scores.gather(1, rivals[:, None]).sum()
        slopes: Tensor = torch.autograd.grad(rising, asked)[0]
        drawn = torch.randn(images.shape, generator=generator).to(images)
        moved = places + search.step * slopes.sign() + search.noise * drawn
        away = (moved - images).clamp(-search.radius, search.radius)
        places = (images + away).detach()
        with torch.no_grad():
            found |= network(places).argmax(1) != answers
    return found
