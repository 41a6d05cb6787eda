"""Exporting a model: what can be done gives the same answers, the rest is said in one sentence."""

import pytest
import torch
from torch.testing import assert_close

import whence


def make(variant):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", ["a", "b", "c"], variant=variant, image_shape=(1, 8, 8)).eval()


@torch.no_grad()
def test_the_encoder_is_exported():
    encoder, images = make("memory-wrap").encoder, torch.rand(4, 1, 8, 8)
    exported = torch.export.export(encoder, (images,)).module()
    assert_close(exported(images), encoder(images))


@torch.no_grad()
def test_a_model_with_a_memory_says_that_it_cannot_be_and_the_way_out():
    model, images = make("memory-wrap"), torch.rand(4, 1, 8, 8)
    model.remember(torch.rand(9, 1, 8, 8))
    for arguments in ((images,), (images, torch.rand(5, 1, 8, 8))):
        with pytest.raises(
            RuntimeError, match=r"cannot be exported as one graph.*export model\.enc"
        ):
            torch.export.export(model, arguments, strict=False)
