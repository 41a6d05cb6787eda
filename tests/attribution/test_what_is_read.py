"""What images and their evidence are explained from: batches, copies, precision, pixels."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import EXACT, SHAPE, as_pixels, make
from tests.helpers.method_checks import give_options, models
from whence.attribution import METHODS
from whence.attribution.feature_gradients import Memory, differentiate
from whence.attribution.method import find_method
from whence.attribution.target import Target


@pytest.mark.parametrize("moved", ["evidence", "all"])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 13])
def test_batch_size_changes_nothing(images, stored, moved, batch_size):
    model = make().remember(stored)
    whole = whence.attribute(model, images, steps=5, memory=moved, batch_size=1000)
    parts = whence.attribute(model, images, steps=5, memory=moved, batch_size=batch_size)
    for name in ("images", "score", "start"):
        assert_close(getattr(parts, name), getattr(whole, name), **EXACT)
    assert ("outside the evidence" in whole.ledger) == (moved == "all")
    for name, amounts in whole.ledger.items():
        assert_close(parts.ledger[name], amounts, **EXACT)
    for a, b in zip(parts.evidence, whole.evidence, strict=True):
        assert_close(a, b, **EXACT)


@pytest.mark.parametrize("batch_size", [2, 4])
@pytest.mark.parametrize(
    "options", [{"steps": 5, "memory": "all"}, {"steps": 2}, {"method": "gradient"}]
)
def test_no_batch_is_larger_than_asked(images, stored, options, batch_size):
    model, sizes = make().remember(stored), []
    model.encoder.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    whence.attribute(model, images, batch_size=batch_size, **options)
    assert max(sizes) == batch_size


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_few_pairs_at_once_change_nothing(images, stored, variant):
    model = make(variant).remember(stored)
    queries = torch.stack([model.encode(some).detach() for some in (images, images.flip(0))])
    moved = torch.stack([0.9 * model.bank.features, 1.1 * model.bank.features])
    moves = torch.arange(7) % 2 == torch.tensor([[0], [1], [0]])
    memory = Memory(model.bank.features, model.bank.labels, moved, torch.arange(7), moves, None)
    target = Target(lambda logits, rows: logits[torch.arange(len(rows)), rows], ())
    numbers = torch.tensor([2, 0, 3])
    whole, *none = differentiate(model.head, queries, memory, target, numbers)
    assert none == []
    parts = [*differentiate(model.head, queries, memory, target, numbers, pairs=5)]
    assert all(len(one.rows) == 1 or one.places.numel() <= 5 for one in parts)
    assert len(parts) > 1
    for a, b in zip(whole, zip(*parts, strict=True), strict=True):
        assert_close(a, torch.cat(b), **EXACT)


@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_a_stored_image_does_not_read_itself(images, stored, moved):
    model = make().remember(stored)
    asked = torch.cat([stored[[4]], images, stored[[1]]])
    found = whence.attribute(model, asked, steps=3, memory=moved)
    for row, others in (
        (0, [0, 1, 2, 3, 5, 6]),
        (1, [0, 1, 2, 3, 4, 5, 6]),
        (4, [0, 2, 3, 4, 5, 6]),
    ):
        alone = make().remember(stored[others])
        expected = whence.attribute(alone, asked[[row]], steps=3, memory=moved)
        assert_close(found.images[[row]], expected.images, **EXACT)
        assert_close(found.evidence[row], expected.evidence[0], **EXACT)
        assert_close(found.start[[row]], expected.start, **EXACT)
        for name, amounts in expected.ledger.items():
            assert_close(found.ledger[name][[row]], amounts, **EXACT)


def test_float_images_and_uint8_images_are_the_same(images, stored):
    model = make(dtype=torch.float32).remember(stored)
    expected = whence.attribute(model, images, steps=3)
    found = whence.attribute(model, (images.float() / 255).requires_grad_(), steps=3)
    assert_close(found.images, expected.images)
    assert not found.images.requires_grad
    assert found.images.dtype == torch.float32
    floats = make(dtype=torch.float32).remember((stored.float() + 0.3) / 256)
    assert floats.bank.images.dtype == torch.float32
    assert len(whence.attribute(floats, images, steps=2).evidence) == 3


def test_stored_images_of_another_size_are_refused(rng):
    with pytest.raises(ValueError, match=r"memory_images must be \(B, 2, 8, 7\)"):
        make().remember(torch.rand(5, 2, 9, 11, generator=rng))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["memory-wrap", "module"])
def test_a_network_in_training_mode_is_refused(images, method, kind):
    model = models()[kind].train()
    options = give_options(find_method(method), as_pixels(images))
    with pytest.raises(RuntimeError, match=r"must be in eval mode to answer; call \.eval\(\)"):
        whence.attribute(model, as_pixels(images), method, **options)
    assert model.training


def test_half_precision_parameters_keep_float32_relevance(images, stored):
    model = make(dtype=torch.bfloat16).remember(stored)
    found = whence.attribute(model, images, steps=8)
    assert found.images.dtype == torch.float32
    expected = whence.attribute(make(dtype=torch.float32).remember(stored), images, steps=8)
    change, wanted = (one.score - one.start for one in (found, expected))
    assert_close(change, wanted, rtol=0.2, atol=0.2)


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient"])
def test_a_bank_is_needed_with_pixels(images, stored, method):
    with pytest.raises(RuntimeError, match=r"no memory yet; call model.remember"):
        whence.attribute(make(), images, method)
    model = make().remember(stored)
    model.attach(dataclasses.replace(model.bank, images=None))
    with pytest.raises(ValueError, match=r"bank was saved without pixels, .* model.remember"):
        whence.attribute(model, images, method)
    path = as_pixels(images)[:, None].repeat(1, 2, 1, 1, 1)
    found = whence.attribute(model, images, "path_integrated_gradients", path=path)
    assert_close(found.images, torch.zeros(3, *SHAPE).double())


class Detached(nn.Module):
    def __init__(self, *, trainable):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1)) if trainable else 1

    def forward(self, images):
        return images.detach().mean((2, 3)) * self.scale


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient"])
@pytest.mark.parametrize("trainable", [False, True])
def test_an_encoder_without_a_gradient(images, trainable, method):
    model = whence.wrap(
        Detached(trainable=trainable), 3, variant="standard", image_shape=SHAPE
    ).eval()
    with pytest.raises(RuntimeError, match=r"model lets no gradient through .* remove no_grad"):
        whence.attribute(model, images, method)
