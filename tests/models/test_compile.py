"""Encoders that ``torch.compile`` makes faster: in place, or in a wrapper of its own."""

import pytest
import torch
from torch import nn

import whence


@pytest.fixture
def model():
    """A model with a user's encoder, and with a memory."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
    model = whence.wrap(encoder, 3, image_shape=(1, 6, 6)).eval()
    return model.remember(torch.rand(9, 1, 6, 6))


def test_an_encoder_that_was_replaced_is_called_so(model):
    images, encoder = torch.rand(2, 1, 6, 6), model.encoder
    expected = model(images)
    model.encoder = torch.compile(encoder, backend="eager")  # nothing is compiled before a call
    message = r"model.encoder is another module than .* or, .*, model.encoder.compile\(\)"
    with pytest.raises(RuntimeError, match=message):
        model(images)
    model.encoder = encoder
    assert torch.equal(model(images), expected)
    with torch.no_grad():
        encoder[0].bias.add_(1)
    with pytest.raises(RuntimeError, match="The parameters changed since the memory was encoded"):
        model(images)


def test_an_encoder_compiled_in_place_keeps_the_memory_and_the_numbers(model):
    images, compiled = torch.rand(2, 1, 6, 6), []

    def compile_eagerly(graph, inputs):
        compiled.append(graph)
        return graph.forward

    expected = model(images)
    model.encoder.compile(backend=compile_eagerly)
    assert torch.equal(model(images), expected)
    assert len(compiled) == 1
