"""Integrated Gradients against a slow second implementation, captum, and answers by hand."""

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import (
    EXACT,
    SHAPE,
    check_against,
    draw,
    explain_slowly,
    make,
    make_linear,
)
from whence.attribution.baselines import BASELINES


@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_equals_the_slow_way(images, stored, similarity, variant, moved):
    model = make(variant, similarity).remember(stored)
    found = whence.attribute(model, images, steps=5, memory=moved, baseline="mean")
    slow = explain_slowly(model, images, steps=5, baseline="mean", moved=moved)
    check_against(slow, found, **EXACT)
    assert found.target == tuple(f"logit of {one}" for one in model(images).argmax(1).tolist())
    if variant == "memory-wrap":
        assert len(model(images).argmax(1).unique()) > 1
    counts = [len(e) for e in found.evidence]
    assert min(counts) >= 1
    assert min(counts) < 7  # some stored images stay outside the evidence
    assert (found.rest is None) == (moved == "evidence")
    if moved == "all":
        assert float(found.rest.abs().max()) > 1e-3
    assert float(found.images.abs().max()) > (0 if variant == "memory-wrap" else -1)


@pytest.mark.parametrize("baseline", list(BASELINES))
@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_every_baseline_equals_the_slow_way(images, stored, baseline, moved):
    model = make().remember(stored)
    found = whence.attribute(model, images, steps=3, baseline=baseline, memory=moved)
    check_against(
        explain_slowly(model, images, steps=3, baseline=baseline, moved=moved), found, **EXACT
    )
    assert (found.options["baseline"], found.options["steps"]) == (baseline, 3)


@pytest.mark.parametrize(("moved", "batch_size"), [("evidence", 2), ("all", 100)])
def test_standard_model_gets_the_map_of_the_input_only(images, moved, batch_size):
    model = make("standard")
    found = whence.attribute(model, images, steps=4, memory=moved, batch_size=batch_size)
    slow = explain_slowly(model, images, steps=4, baseline="white", moved=moved)
    check_against(slow, found, **EXACT)
    assert len(model(images).argmax(1).unique()) > 1
    assert found.rest is None
    assert [e.shape for e in found.evidence] == [(0, *SHAPE)] * 3


def test_captum_with_one_memory_per_row(images, stored):
    model = make(dtype=torch.float32).remember(stored)
    steps = 6
    found = whence.attribute(model, images, steps=steps, memory="all")

    def forward(x, *memory):  # one row at a time: captum would share the memory among rows
        features = model.encode(torch.cat(memory))
        return model.head(model.encode(x), features).logits

    for b, image in enumerate(images.float() / 255):
        inputs = (image[None], *(stored.float() / 255)[:, None])
        starts = tuple(torch.ones_like(one) for one in inputs)
        relevance = IntegratedGradients(forward).attribute(
            inputs,
            starts,
            target=int(model(images).argmax(1)[b]),
            n_steps=steps,
            method="riemann_middle",
            internal_batch_size=1,
        )
        weights = model.read(images).weights[b]
        order = weights.argsort(descending=True)[: int((weights > 0).sum())]
        assert_close(found.images[b], relevance[0][0], rtol=0, atol=1e-5)
        expected = torch.cat([relevance[1 + i] for i in order.tolist()])
        assert_close(found.evidence[b], expected, rtol=0, atol=1e-5)
        rest = [relevance[1 + i].sum() for i in range(len(stored)) if i not in order.tolist()]
        assert_close(found.rest[b], torch.stack(rest).sum(), rtol=0, atol=1e-5)


class Attending(nn.Module):
    """A transformer layer over rows of pixels."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(SHAPE[2], 1, 8, batch_first=True)

    def forward(self, images):
        return self.layer(images.mean(1)).flatten(1)


def test_a_transformer_has_a_forward_mode_derivative(images, stored):
    encoder = Attending()
    model = whence.wrap(encoder, 3, image_shape=SHAPE, drop_classifier=False).double().eval()
    model.remember(stored)
    found = whence.attribute(model, images, steps=3, memory="all")
    check_against(
        explain_slowly(model, images, steps=3, baseline="white", moved="all"), found, **EXACT
    )


class Backward(torch.autograd.Function):
    """A layer that knows the backward mode only."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class OneWay(nn.Module):
    def forward(self, images):
        return Backward.apply(images.flatten(1))


def test_an_encoder_without_forward_mode_is_told_the_way_out(images, stored):
    model = whence.wrap(OneWay(), 3, image_shape=SHAPE, drop_classifier=False).eval()
    model.remember(stored)
    with pytest.raises(
        RuntimeError, match=r"without a forward-mode derivative, .*memory='evidence'"
    ):
        whence.attribute(model, images, memory="all")
    assert whence.attribute(model, images, memory="evidence").rest is None


def test_one_memory_by_hand():
    """A weight of 1 whatever the similarity: the logit is linear in both images."""
    model = make_linear("memory-wrap", (2, 3))
    image, memory = torch.rand(2, 1, 1, 2, 3)
    found = whence.attribute(model.remember(memory), image, steps=1, baseline="black")
    chosen = int(model(image).argmax())
    weights = model.head.classifier.weight[chosen].detach().view(2, 2, 3)
    assert_close(found.images[0, 0], weights[0] * image[0, 0] / 0.25)
    assert_close(found.evidence[0][0, 0], weights[1] * memory[0, 0] / 0.25)
    assert_close(found.ledger["unexplained"], torch.zeros(1).double(), rtol=0, atol=1e-5)
    assert_close(found.score - found.start, found.images.sum((1, 2, 3)) + found.evidence[0].sum())
    everything = whence.attribute(model, image, steps=1, baseline="black", memory="all")
    assert_close(everything.images, found.images)
    assert_close(everything.rest, torch.zeros(1))


def test_identical_memories_share_by_hand():
    model = make_linear("only-memory", (2, 2))
    image, memory = torch.rand(2, 1, 1, 2, 2)
    found = whence.attribute(
        model.remember(memory.repeat(4, 1, 1, 1)), image, steps=2, baseline="white"
    )
    chosen = int(model(image).argmax())
    weights = model.head.classifier.weight[chosen].detach().view(2, 2)
    expected = (weights * (memory[0, 0] - 1) / 0.25 / 4).expand(4, 1, 2, 2)
    assert_close(found.evidence[0], expected)
    assert_close(found.images, torch.zeros(1, 1, 2, 2))


def unexplained(model, images, **options):
    return whence.attribute(model, images, **options).ledger["unexplained"].abs().mean()


def test_what_is_unexplained_goes_down_with_steps(rng, stored):
    model = make().remember(stored)
    images = draw(rng, 6)
    for moved in ("evidence", "all"):
        errors = [
            float(unexplained(model, images, steps=steps, memory=moved)) for steps in (2, 16, 128)
        ]
        assert errors[1] < errors[0] / 3
        assert errors[2] < errors[1] / 3
