"""Attention by its plain form: every derivative, the same numbers, and nobody else notices."""

import threading
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from tests.helpers.attributing import SHAPE
from whence.attribution.plain_attention import PlainAttention


def attend(queries):
    return F.scaled_dot_product_attention(queries, queries + 1, queries * 2, scale=0.3)


def layer():
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval()


@pytest.mark.parametrize("function", [attend, layer()], ids=["function", "layer"])
def test_attention_has_a_forward_mode_derivative_and_the_same_numbers(function):
    some, way = torch.rand(2, 2, 4, 6, 8, dtype=torch.float64)
    if isinstance(function, nn.Module):
        some, way = some[0], way[0]
    with PlainAttention():
        found, slope = torch.func.jvp(function, (some,), (way,))
    assert_close(found, function(some))
    ahead, behind = (function(some + d * way) for d in (1e-6, -1e-6))
    assert_close(slope, (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8)


class Noticed(nn.Module):
    """Attention over rows of pixels; another thread answers in the middle of its forward pass."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.heard = answer, []

    def forward(self, images):
        thread = threading.Thread(target=lambda: self.heard.append(self.answer()))
        thread.start()
        thread.join()
        rows = images.mean(1)
        return F.scaled_dot_product_attention(rows[:, None], rows[:, None], rows[:, None]).flatten(
            1
        )


def test_another_thread_answers_meanwhile_and_its_bits_are_unchanged(rng):
    queries = torch.randn(2, 4, 64, 16, generator=rng)
    fused = attend(queries)
    with PlainAttention():
        plain = attend(queries)
    assert not torch.equal(plain, fused)  # so that a switch of the whole process would be seen
    encoder = Noticed(lambda: attend(queries))
    model = whence.wrap(encoder, 3, image_shape=SHAPE, drop_classifier=False).double().eval()
    images = torch.randint(0, 256, (3, *SHAPE), generator=rng, dtype=torch.uint8)
    model.remember(images[1:])
    whence.attribute(model, images[:1], steps=2, memory="all")
    assert len(encoder.heard) > 2
    assert all(torch.equal(one, fused) for one in encoder.heard)


def test_another_thread_has_the_filters_of_warnings_that_it_had(rng):
    encoder = Noticed(lambda: [*warnings.filters])
    model = whence.wrap(encoder, 3, image_shape=SHAPE, drop_classifier=False).double().eval()
    images = torch.randint(0, 256, (3, *SHAPE), generator=rng, dtype=torch.uint8)
    model.remember(images[1:])
    whence.attribute(model, images[:1], steps=2, memory="all")
    assert all(one == warnings.filters for one in encoder.heard)
