"""Maps of a similarity against a slow second implementation, a formula, and bad requests."""

import dataclasses
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.attributing import same_state, state_of
from whence.attribution.baselines import BASELINES
from whence.attribution.why_similar import why_similar
from whence.memory import SIMILARITIES

SHAPE = (2, 6, 5)
EXACT = {"rtol": 0, "atol": 1e-10}


class Flat(nn.Module):
    """The pixels are the features."""

    def forward(self, images):
        return images.flatten(1)


def make(variant="memory-wrap", similarity="cosine", dtype=torch.float64):
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)
    )
    with torch.no_grad():
        net[-1].bias.mul_(0.1)
    model = whence.wrap(
        net,
        3,
        variant=variant,
        image_shape=SHAPE,
        mean=[0.4, 0.6],
        std=[0.2, 0.3],
        similarity=similarity,
    )
    return model.eval().to(dtype)


@pytest.fixture
def images(rng):
    return torch.rand(3, *SHAPE, generator=rng, dtype=torch.float64)


@pytest.fixture
def stored(rng):
    return torch.rand(9, *SHAPE, generator=rng, dtype=torch.float64)[3:]  # six


def explain_slowly(model, image, other, *, steps, start):
    """One pair and one step at a time."""
    ends = image[None], other[None]
    starts = [BASELINES[start](end) for end in ends]
    maps = [torch.zeros_like(end) for end in ends]

    def compare(a, b):
        return SIMILARITIES[model.head.similarity](model.encode(a), model.encode(b)).squeeze()

    for k in range(steps):
        t = (k + 0.5) / steps
        points = [(a + t * (b - a)).requires_grad_() for a, b in zip(starts, ends, strict=True)]
        for i, gradient in enumerate(torch.autograd.grad(compare(*points), points)):
            maps[i] += gradient * (ends[i] - starts[i]) / steps
    return maps[0][0], maps[1][0], (compare(*ends) - compare(*starts)).detach()


@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("baseline", list(BASELINES))
@pytest.mark.parametrize("rank", [0, 1])
def test_equals_the_slow_way(images, stored, similarity, baseline, rank):
    variant = "only-memory" if rank else "memory-wrap"
    model = make(variant, similarity).remember(stored)
    weights = model.read(images).weights
    assert (weights > 0).sum(1).min() > rank
    asked = images.clone().requires_grad_()
    maps = why_similar(model, asked, rank=rank, steps=4, baseline=baseline)
    assert not maps.images.requires_grad
    for b, place in enumerate(weights.argsort(dim=1, descending=True)[:, rank].tolist()):
        relevance, evidence, change = explain_slowly(
            model, images[b], stored[place], steps=4, start=baseline
        )
        assert_close(maps.images[b], relevance, **EXACT)
        assert_close(maps.evidence[b], evidence[None], **EXACT)
        assert_close((maps.score - maps.start)[b], change, **EXACT)
        told = {"image": relevance.sum(), "evidence": evidence.sum()}
        told["unexplained"] = change - relevance.sum() - evidence.sum()
        assert list(maps.ledger) == list(told)
        for name, amount in told.items():
            assert_close(maps.ledger[name][b], amount.detach(), **EXACT)
    assert maps.options == {"rank": rank, "steps": 4, "baseline": baseline}
    assert maps.method == "why_similar"
    assert maps.target == (f"{similarity} similarity to evidence image {rank + 1}",) * 3
    assert "similarity of the two images on the way from" in maps.sentence


def test_dot_product_of_pixels_by_hand():
    """From black, the dot product is quadratic in t: each pixel and its partner get half of it."""
    model = whence.wrap(
        Flat(), 2, variant="memory-wrap", image_shape=(1, 2, 3), similarity="dot"
    ).eval()
    image, other = torch.rand(2, 1, 1, 2, 3)
    maps = why_similar(model.remember(other), image, steps=1, baseline="black")
    assert_close(maps.images, image * other / 2)
    assert_close(maps.evidence[0], image * other / 2)
    assert_close(maps.score, (image * other).sum()[None])
    assert_close(maps.start, torch.zeros(1))
    assert_close(maps.ledger["unexplained"], torch.zeros(1).double(), rtol=0, atol=1e-6)


def test_what_is_unexplained_goes_down_with_steps(images, stored):
    model = make().remember(stored)
    errors = [
        float(
            why_similar(model, images, steps=steps, baseline="black")
            .ledger["unexplained"]
            .abs()
            .mean()
        )
        for steps in (2, 8, 32)
    ]
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
def test_batch_size_changes_nothing(images, stored, batch_size):
    model, sizes = make().remember(stored), []
    whole = why_similar(model, images, steps=5, batch_size=100)
    model.encoder.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    parts = why_similar(model, images, steps=5, batch_size=batch_size)
    assert max(sizes) <= batch_size
    for name in ("images", "score", "start"):
        assert_close(getattr(parts, name), getattr(whole, name), **EXACT)
    assert_close(torch.cat(parts.evidence), torch.cat(whole.evidence), **EXACT)
    assert_close(parts.ledger["unexplained"], whole.ledger["unexplained"], **EXACT)


def test_a_stored_image_is_not_its_own_partner(stored):
    model = make().remember(stored)
    maps = why_similar(model, stored[[2]], steps=3)
    others = make().remember(stored[[0, 1, 3, 4, 5]])
    expected = why_similar(others, stored[[2]], steps=3)
    assert_close(maps.evidence[0], expected.evidence[0], **EXACT)


def test_stored_float_images_and_float32(rng, images):
    model = make(dtype=torch.float32).remember(torch.rand(4, *SHAPE, generator=rng))
    maps = why_similar(model, images, steps=2)
    assert maps.images.shape == (3, *SHAPE)
    assert [tuple(one.shape) for one in maps.evidence] == [(1, *SHAPE)] * 3
    assert maps.images.dtype == maps.score.dtype == torch.float32


def test_a_model_in_training_mode_is_refused(images, stored):
    model = make().remember(stored).train()
    with pytest.raises(RuntimeError, match=r"must be in eval mode to answer; call \.eval\(\)"):
        why_similar(model, images, steps=2)


@pytest.mark.parametrize("broken", [False, True])
def test_no_trace_is_left(images, stored, broken):
    model, asked, calls = make().remember(stored), images.clone().requires_grad_(), []
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)

    def hook(module, inputs, output):
        calls.append(module)
        if broken and len(calls) == 6:
            raise ArithmeticError("broken")

    model.encoder.register_forward_hook(hook)
    before = state_of(model)
    with pytest.raises(ArithmeticError) if broken else nullcontext(), torch.no_grad():
        why_similar(model, asked, batch_size=2)
    assert len(calls) >= 6
    same_state(before, state_of(model))
    assert asked.grad is None
    assert_close(asked.detach(), images, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": -1}, r"rank must be at least 0, the evidence of highest weight, got -1."),
        ({"baseline": "grey"}, r"Unknown baseline 'grey'. Choose from: white, black, mean, blur."),
        ({"steps": 0}, r"steps must be at least 1, got 0."),
        ({"batch_size": 0}, r"batch_size must be at least 1, got 0."),
        ({"images": torch.zeros(0, *SHAPE)}, r"images must hold at least one image, got none."),
    ],
)
def test_what_cannot_be_asked(images, stored, options, message):
    model = make().remember(stored)
    with pytest.raises(ValueError, match=message):
        why_similar(model, **{"images": images, **options})


def test_an_image_with_too_few_evidence_images(images, stored):
    model = make().remember(stored)
    counts = (model.read(images).weights > 0).sum(1).tolist()
    short = counts.index(min(counts))
    rank = min(counts)
    expected = (
        f"rank must be below {rank}, the number of evidence images of image {short}, got {rank}."
    )
    with pytest.raises(ValueError, match=expected):
        why_similar(model, images, rank=rank, batch_size=1)


def test_a_memory_with_pixels_is_needed(images, stored):
    with pytest.raises(ValueError, match=r"standard model has no evidence .* variant="):
        why_similar(make("standard"), images)
    with pytest.raises(RuntimeError, match=r"no memory yet; call model.remember"):
        why_similar(make(), images)
    model = make().remember(stored)
    model.attach(dataclasses.replace(model.bank, images=None))
    with pytest.raises(ValueError, match=r"bank was saved without pixels, .* model.remember"):
        why_similar(model, images)
