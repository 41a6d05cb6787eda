"""Exporting a model by torch.export gives the same answers."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.memory.sparsemax import find_threshold, sparsemax
from whence.models.whole_graph import rank_highest


def make(variant):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", ["a", "b", "c"], variant=variant, image_shape=(1, 8, 8)).eval()


@torch.no_grad()
def test_the_encoder_is_exported():
    encoder, images = make("memory-wrap").encoder, torch.rand(4, 1, 8, 8)
    exported = torch.export.export(encoder, (images,)).module()
    assert_close(exported(images), encoder(images))


IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def remember(variant, count=30, **options):
    """A model with stored images, two of them alike."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Flatten())
    model = whence.wrap(
        encoder, 3, variant=variant, image_shape=(1, 8, 8), mean=[0.5], std=[0.1], **options
    ).eval()
    stored = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    stored[7] = stored[3]
    return model.remember(stored, labels=torch.arange(count) % 3)


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


@pytest.mark.parametrize("variant, similarity", [*CASES, ("standard", "cosine")])
@pytest.mark.parametrize("stored", [30, 700])
@torch.no_grad()
def test_a_model_is_exported_as_it_is(variant, similarity, stored):
    """With its bank, or with the memory images given; also where attention would stream."""
    model = (
        make("standard")
        if variant == "standard"
        else remember(variant, stored, similarity=similarity)
    )
    before = None if model.bank is None else dict(model.bank._scales)
    batch = torch.export.Dim("batch", min=2)
    for images in (IMAGES, (IMAGES * 255).to(torch.uint8)):
        exported = torch.export.export(model, (images,), dynamic_shapes=({0: batch},))
        for part in (images, images[:2]):
            assert_close(exported.module()(part), model(part), atol=1e-5, rtol=1e-5)
    if variant != "standard":
        given = (IMAGES, torch.rand(5, 1, 8, 8), None, torch.arange(5) % 3)
        exported = torch.export.export(model, given).module()
        assert_close(exported(*given), model(*given), atol=1e-5, rtol=1e-5)
        assert before is not None
        assert model.bank._scales.keys() >= before.keys()
        assert all(type(scale) is torch.Tensor for scale in model.bank._scales.values())


@torch.no_grad()
def test_a_stale_memory_is_not_exported():
    model = remember("votes")
    next(model.encoder.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="The parameters changed since"):
        torch.export.export(model, (IMAGES,))


@torch.no_grad()
def test_a_graph_takes_handicaps_and_gives_copies_the_same_weight():
    model = remember("votes")
    model.head.handicaps = torch.tensor([-0.5, 0.9, 0.0])
    model.head.sharpness.fill_(0.5)
    bank = model.bank
    model.remember(bank.images, bank.labels)
    logits, weights = whence.as_graph(model)(IMAGES)
    expected = model.read(IMAGES)
    assert_close(weights, expected.weights, atol=1e-5, rtol=1e-5)
    assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    model.head.handicaps = None
    assert not torch.allclose(
        model.remember(bank.images, bank.labels).read(IMAGES).weights, weights
    )
    model = remember("memory-wrap")
    graph = whence.as_graph(model)
    graph.memory[7] += 1e-3  # as rounding might, where a row stands decides its last digits
    _, weights = graph(model.bank.images[3:4])
    assert bool((weights[:, 3] > 0).any())
    assert weights[:, 3].tolist() == weights[:, 7].tolist()  # equal to the last digit


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


@pytest.mark.parametrize("count", [1030, 1056])
@torch.no_grad()
def test_of_a_large_memory_only_what_may_have_a_weight_is_sorted(count):
    scores = torch.randn(5, count, generator=torch.Generator().manual_seed(0)) / 3
    scores[1] = scores[1].round(decimals=1)  # ties
    scores[2] = 0.5 + torch.arange(count) * 1e-6  # all of them have a weight, nearly
    scores[3, 7:] = -torch.inf
    shifted = scores - scores.amax(1, keepdim=True)
    ranked = rank_highest(shifted)
    assert_close(ranked[0], shifted[0].sort(descending=True).values[: ranked.shape[1]])
    for rows in (slice(0, 5), slice(0, 1), slice(1, 2), slice(3, 4)):  # one needs more than another
        part = shifted[rows]
        weights = (part - find_threshold(rank_highest(part))).clamp_min(0)
        assert_close(weights, sparsemax(scores[rows]), atol=1e-6, rtol=0)
    assert rank_highest(shifted[:2]).shape[1] < count // 10
