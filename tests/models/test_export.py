"""Exporting a model: what can be done gives the same answers, the rest is said in one sentence."""

import pytest
import torch
from torch import nn
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


IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def remember(variant, **options):
    """A model with 30 stored images, two of them alike."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Flatten())
    model = whence.wrap(
        encoder, 3, variant=variant, image_shape=(1, 8, 8), mean=[0.5], std=[0.1], **options
    ).eval()
    stored = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    stored[7] = stored[3]
    return model.remember(stored, labels=torch.arange(30) % 3)


CASES = [
    ("votes", "cosine"),
    ("only-memory", "l2"),
    ("memory-wrap", "cosine"),
    ("memory-wrap", "dot"),
]


@pytest.mark.parametrize("variant, similarity", CASES)
@torch.no_grad()
def test_a_graph_gives_the_models_answers(variant, similarity):
    model = remember(variant, similarity=similarity)
    graph, read = whence.as_graph(model), model.read(IMAGES)
    for images in (IMAGES, (IMAGES * 255).to(torch.uint8)):
        logits, weights = graph(images)
        expected = model.read(images)
        assert_close(logits, expected.logits)
        assert_close(weights, expected.weights, atol=1e-5, rtol=1e-5)
    most = int((read.weights > 0).sum(1).max())
    assert (1 if similarity == "cosine" else 0) < most < 30


@pytest.mark.parametrize(
    "variant, strict", [("votes", False), ("memory-wrap", False), ("memory-wrap", True)]
)
@torch.no_grad()
def test_a_graph_is_exported_for_any_number_of_images(variant, strict):
    graph = whence.as_graph(remember(variant))
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(
        graph, (IMAGES,), dynamic_shapes={"images": {0: batch}}, strict=strict
    )
    for images in (IMAGES, torch.rand(9, 1, 8, 8)):
        for found, expected in zip(exported.module()(images), graph(images), strict=True):
            assert_close(found, expected)


@torch.no_grad()
def test_a_model_with_a_memory_says_that_it_cannot_be_and_the_way_out():
    model = remember("memory-wrap")
    for arguments in ((IMAGES,), (IMAGES, torch.rand(5, 1, 8, 8))):
        message = r"cannot be exported as it is.*export whence\.as_graph\(model\)"
        with pytest.raises(RuntimeError, match=message):
            torch.export.export(model, arguments, strict=False)


def test_a_graph_needs_a_memory_that_fits():
    with pytest.raises(RuntimeError, match="The model has no memory yet"):
        whence.as_graph(make("memory-wrap"))
    with pytest.raises(ValueError, match="A standard model has no memory"):
        whence.as_graph(make("standard"))
    with pytest.raises(RuntimeError, match="must be in eval mode"):
        whence.as_graph(remember("votes").train())
    model = remember("votes")
    with torch.no_grad():
        next(model.encoder.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="The parameters changed since"):
        whence.as_graph(model)
