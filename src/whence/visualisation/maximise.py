"""Activation maximisation: inputs that activate a unit most, within what keeps them natural."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import check_number
from whence.visualisation.smooth import soften_images, total_variation

FIRST_STEP, LARGER, SMALLER, LEAST_STEP = 0.1, 1.2, 0.5, 1e-7
"""Steps are this share of an input's length at first, grow after a success, shrink after a failure,
and end when they are this short. With a jitter every step counts, and they shrink evenly."""

LATE, STILL = 0.9, 0.01
"""An activation is still rising if more than this share of its change comes this late."""

Activation = Callable[[Tensor], Tensor]
"""Maps inputs `(B, ...)` to `(B,)`, each row for itself, with a gradient."""


@dataclass(frozen=True)
class Regularisation:
    """What keeps an input natural while it is changed.

    Attributes:
        norm: length that inputs are brought to after every step (Erhan et al. 2009); None leaves
            them as long as they become.
        length: weight of the penalty on the mean square of an input, in units of the activation.
        variation: weight of the penalty on the total variation, in units of the activation.
        blur: standard deviation in pixels of the Gaussian after every step; 0 for none.
        jitter: largest shift in pixels, drawn before every step and taken back after it.
        limits: lowest and highest values, which go with an input's shape; None has none.
    """

    norm: float | None = None
    length: float = 0.0
    variation: float = 0.0
    blur: float = 0.0
    jitter: int = 0
    limits: tuple[Tensor, Tensor] | None = None


class Maximised(NamedTuple):
    """Inputs `(B, ...)`, their activations `(B,)`, and whether each was still rising at the end."""

    inputs: Tensor
    activations: Tensor
    rising: Tensor


def maximise(
    activation: Activation,
    start: Tensor,
    regularisation: Regularisation,
    *,
    steps: int,
    generator: torch.Generator,
) -> Maximised:
    """Change inputs so that an activation grows, until it does not grow any more.

    Erhan, Bengio, Courville and Vincent (2009), Visualizing higher-layer features of a deep
    network, section 3: gradient ascent from noise, with inputs of a fixed length. A step that
    lowers the activation is taken back and made shorter, so that no rate has to be chosen.

    Args:
        activation: what is to grow.
        start: `(B, ...)` inputs; images `(B, C, H, W)` where there is a penalty on variation, a
            blur or a jitter.
        regularisation: what keeps the inputs natural.
        steps: the most that are made.
        generator: of the shifts.

    Returns:
        Inputs of the shape of ``start``, and their activations without the penalties.
    """
    check_number("steps", steps)
    inputs = keep_natural(start.detach().clone(), regularisation)
    first = late = inputs.new_zeros(len(inputs))
    size = start.new_full((len(start),), FIRST_STEP)
    for step in range(steps):
        if regularisation.jitter:
            size = size.new_full(size.shape, FIRST_STEP * (1 - step / steps))
        if not bool((size >= LEAST_STEP).any()):
            break
        goal = shifted(penalised(activation, regularisation), regularisation.jitter, generator)
        value, slope = find_slope(goal, inputs)
        first = value if step == 0 else first
        late = value if step <= LATE * steps else late
        stride = size * lengths_of(inputs).clamp_min(1e-12) / lengths_of(slope).clamp_min(1e-30)
        tried = keep_natural(inputs + spread(stride, inputs) * slope, regularisation)
        with torch.no_grad():
            better = goal(tried) > value if regularisation.jitter == 0 else size > 0
        inputs = torch.where(spread(better, inputs), tried, inputs)
        size = torch.where(better, size * LARGER, size * SMALLER)
        if regularisation.blur:
            inputs = keep_natural(soften_images(inputs, regularisation.blur), regularisation)
    with torch.no_grad():
        last = penalised(activation, regularisation)(inputs)
        return Maximised(inputs, activation(inputs), last - late > STILL * (last - first).abs())


def penalised(activation: Activation, regularisation: Regularisation) -> Activation:
    """Subtract the penalties from an activation."""

    def goal(inputs: Tensor) -> Tensor:
        value = activation(inputs)
        if regularisation.length:
            value = value - regularisation.length * inputs.square().flatten(1).mean(1)
        if regularisation.variation:
            value = value - regularisation.variation * total_variation(inputs)
        return value

    return goal


def shifted(goal: Activation, reach: int, generator: torch.Generator) -> Activation:
    """Look at images that are shifted by up to ``reach`` pixels, round the border."""
    if reach == 0:
        return goal
    drawn = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return lambda inputs: goal(inputs.roll(drawn, dims=(2, 3)))


def find_slope(goal: Activation, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return values `(B,)` of a goal at inputs, and their gradients, without a trace."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_()
        value = goal(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope


def keep_natural(inputs: Tensor, regularisation: Regularisation) -> Tensor:
    """Bring inputs `(B, ...)` to their length and between their limits, where there are any."""
    if regularisation.norm is not None:
        factors = regularisation.norm / lengths_of(inputs).clamp_min(1e-30)
        inputs = inputs * spread(factors, inputs)
    if regularisation.limits is not None:
        inputs = inputs.clamp(*regularisation.limits)
    return inputs


def lengths_of(inputs: Tensor) -> Tensor:
    """Return the Euclidean length of each input, `(B,)`."""
    found: Tensor = torch.linalg.vector_norm(inputs.flatten(1), dim=1)
    return found


def spread(numbers: Tensor, inputs: Tensor) -> Tensor:
    """Give numbers `(B,)` as many axes as inputs `(B, ...)` have."""
    return numbers.view(-1, *(1 for _ in inputs.shape[1:]))
