"""A stride stands for many updates of the same gradient."""

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.morphing_parts import (
    draw,
)
from whence.morphing.strides import scale_to, stride_on

# Strides


def test_a_stride_of_one_is_adam():
    at = draw(3, 5).double()
    leaf = at.clone().requires_grad_()
    adam = torch.optim.Adam([leaf], lr=1e-3)
    first = second = torch.zeros_like(at)
    for update in range(1, 8):
        gradient = draw(3, 5, seed=update).double() * update
        leaf.grad = gradient.clone()
        adam.step()
        at, first, second = stride_on(at, gradient, first, second, update, 1)
        assert_close(at, leaf.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [2, 20])
def test_a_stride_stands_for_many_updates_of_the_same_gradient(stride):
    at, gradient = draw(2, 3).double(), draw(2, 3, seed=1).double()
    short = at, torch.zeros_like(at), torch.zeros_like(at)
    for update in range(1, 3 * stride + 1):
        short = stride_on(short[0], gradient, *short[1:], update, 1)
    long = at, torch.zeros_like(at), torch.zeros_like(at)
    for update in range(1, 4):
        long = stride_on(long[0], gradient, *long[1:], update, stride)
    for one, other in zip(short, long, strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_the_scale_of_a_penalty_by_hand():
    scale = scale_to(torch.tensor([6.0, 5.0]), torch.tensor([2.0, 0.0]))
    assert_close(scale, torch.tensor([3.0, 0.0]))
