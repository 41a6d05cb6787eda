"""Adam in longer strides: one update stands for several of the thesis's, along the same curve."""

import torch
from torch import Tensor

RATE = 1e-3
"""The thesis's learning rate (sections 4.5 and 4.6)."""


def check_strides(steps: int, stride: int) -> None:
    """Refuse steps that strides cannot make up.

    Raises:
        ValueError: with both.
    """
    if steps % stride:
        raise ValueError(f"steps must be a multiple of stride ({stride}), got {steps}.")


def stride_on(
    at: Tensor, gradient: Tensor, first: Tensor, second: Tensor, update: int, stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Take one update of Adam in place of ``stride`` ones. Kingma and Ba (2015), arXiv:1412.6980.

    With a rate of 1e-3 gradients hardly change from one update to the next. If they do not change
    at all, ``stride`` updates come to one with the rate times ``stride`` and both decays to the
    power of ``stride``: the averages after it are exactly those. A stride of 1 is Adam itself.

    Args:
        at: `(b, ...)` where the rows are; every number is stepped on its own.
        gradient: `(b, ...)` there.
        first: `(b, ...)` running mean of the gradient.
        second: `(b, ...)` running mean of its square.
        update: how many this is, from 1.
        stride: updates of the thesis that it stands for.

    Returns:
        New ``at``, ``first`` and ``second``.

    >>> zero = torch.zeros(1)
    >>> stride_on(zero, torch.tensor([-3.0]), zero, zero, 1, 20)[0]
    tensor([0.0200])
    """
    kept, kept_square = 0.9**stride, 0.999**stride
    first = first.lerp(gradient, 1 - kept)
    second = second.lerp(gradient.square(), 1 - kept_square)
    moved = at - pace(second, update, stride) * first / (1 - kept**update)
    return moved, first, second


def pace(second: Tensor, update: int, stride: int) -> Tensor:
    """Return how far each number moves per unit of its gradient's running mean, ``second``'s shape.

    Args:
        second: `(b, ...)` running mean of the gradient's square.
        update: how many updates that is the mean of.
        stride: updates of the thesis that each stood for.
    """
    return RATE * stride / ((second / (1 - 0.999 ** (stride * update))).sqrt() + 1e-8)


def scale_to(objective: Tensor, penalty: Tensor) -> Tensor:
    """Return what brings a penalty to the scale of the objective (end of section 4.5).

    Args:
        objective: `(b,)` sum, over the updates so far, of the objective's absolute values.
        penalty: `(b,)` that of the penalty's.

    Returns:
        `(b,)` the ratio of the running averages; 0 where the penalty was always 0.
    """
    return torch.where(penalty > 0, objective / penalty.clamp_min(1e-30), 0.0)
