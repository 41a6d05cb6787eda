"""Heatmaps against a slow second implementation, captum, and answers worked out by hand."""

import dataclasses

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.testing import assert_close

import whence
from whence.attribution import feature_gradients
from whence.attribution.baselines import BASELINES
from whence.attribution.feature_gradients import Memory, pick
from whence.attribution.joint import heatmaps
from whence.attribution.path import differentiate_along, encode_along, midpoints, move

SHAPE = (2, 8, 7)
EXACT = {"rtol": 0, "atol": 1e-10}


class Net(nn.Module):
    """A small network with kinks, curves, a BatchNorm and five features."""

    def __init__(self, channels=2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.SiLU(),
            nn.Conv2d(4, 5, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 5),
        )

    def forward(self, images):
        return self.layers(images)


def draw(rng, total):
    return torch.randint(0, 256, (total, *SHAPE), generator=rng, dtype=torch.uint8)


def make(variant="memory-wrap", similarity="cosine", *, dtype=torch.float64, spread=6.0):
    """Build a model whose features differ enough that few of seven memories get a weight."""
    torch.manual_seed(3)
    model = whence.wrap(
        Net(), 4, variant, SHAPE, mean=[0.4, 0.6], std=[0.3, 0.2], similarity=similarity
    )
    with torch.no_grad():
        model.encoder.layers[1].running_mean.normal_()
        model.encoder.layers[-1].weight.mul_(spread)
        generator = torch.Generator().manual_seed(0)
        images, stored = draw(generator, 3), draw(generator, 9)[2:]  # as the fixtures below
        logits = model.eval()(images, *([stored] if model.has_memory else []))
        last = [layer for layer in model.head.modules() if isinstance(layer, nn.Linear)][-1]
        last.bias -= logits.mean(0)  # so that not all images are put in one class
    return model.to(dtype)


@pytest.fixture
def images(rng):
    return draw(rng, 3)


@pytest.fixture
def stored(rng):
    return draw(rng, 9)[2:]  # seven


def start_of(name, images):
    """Build baselines a second time, in another way."""
    if name in ("white", "black"):
        return torch.full_like(images, float(name == "white"))
    if name == "mean":
        return torch.stack([torch.stack([c * 0 + c.sum() / c.numel() for c in i]) for i in images])
    height, width = images.shape[-2:]
    sigma, result = min(height, width) / 8, torch.zeros_like(images)
    for y in range(height):
        for x in range(width):
            distance = [[(y - i) ** 2 + (x - j) ** 2 for j in range(width)] for i in range(height)]
            kernel = (torch.tensor(distance, dtype=torch.float64) / (-2 * sigma**2)).exp()
            result[:, :, y, x] = (images * (kernel / kernel.sum()).to(images)).sum((-2, -1))
    return result


def as_pixels(images):
    """Divide as the model does: in float32."""
    return (images.float() / 255).double()


def explain_slowly(model, images, *, steps, baseline, moved):
    """One image and one step at a time, plain autograd through all of the model."""
    rows = []
    for image in as_pixels(images):
        x = image[None]
        x0 = start_of(baseline, x)
        if not model.has_memory:
            relevance, chosen = torch.zeros_like(x), int(model(x).argmax())
            for k in range(steps):
                leaf = (x0 + (k + 0.5) / steps * (x - x0)).requires_grad_()
                (gradient,) = torch.autograd.grad(model(leaf)[0, chosen], leaf)
                relevance += gradient * (x - x0) / steps
            change = model(x)[0, chosen] - model(x0)[0, chosen]
            rows.append((relevance[0], x.new_zeros(0, *SHAPE), None, change.detach()))
            continue
        m = as_pixels(model.bank.images)
        m0 = start_of(baseline, m)
        read = model.head(model.encode(x), model.encode(m))
        chosen, weights = int(read.logits.argmax()), read.weights[0]
        evidence = sorted((weights > 0).nonzero()[:, 0].tolist(), key=lambda i: -weights[i])
        moving = torch.zeros(len(m), 1, 1, 1, dtype=x.dtype)
        moving[evidence if moved == "evidence" else slice(None)] = 1
        m0 = m + moving * (m0 - m)
        others = [i for i in range(len(m)) if i not in evidence]

        def logit(x, features, chosen=chosen):
            return model.head(model.encode(x), features).logits[0, chosen]

        relevance, parts = torch.zeros_like(x), torch.zeros_like(m)
        for k in range(steps):
            t = (k + 0.5) / steps
            leaf, leaves = (
                (a + t * (b - a)).detach().requires_grad_() for a, b in ((x0, x), (m0, m))
            )
            a, b = torch.autograd.grad(logit(leaf, model.encode(leaves)), (leaf, leaves))
            relevance += a * (x - x0) / steps
            parts += b * (m - m0) / steps
        change = logit(x, model.encode(m)) - logit(x0, model.encode(m0))
        rows.append((relevance[0], parts[evidence], parts[others].sum(), change.detach()))
    return rows


def check_against(slow, maps, **tolerance):
    for b, (relevance, evidence, rest, change) in enumerate(slow):
        assert_close(maps.images[b], relevance, **tolerance)
        assert_close(maps.evidence[b], evidence, **tolerance)
        assert_close(maps.score_change[b], change, **tolerance)
        total = relevance.sum() + evidence.sum()
        if maps.rest is not None:
            assert_close(maps.rest[b], rest, **tolerance)
            total = total + rest
        assert_close(maps.completeness_error[b], (total - change).abs(), **tolerance)


@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_equals_the_slow_way(images, stored, similarity, variant, moved):
    model = make(variant, similarity).remember(stored)
    maps = heatmaps(model, images, steps=5, memory=moved, baseline="mean")
    slow = explain_slowly(model, images, steps=5, baseline="mean", moved=moved)
    check_against(slow, maps, **EXACT)
    if variant == "memory-wrap":
        assert len(model(images).argmax(1).unique()) > 1
    counts = [len(e) for e in maps.evidence]
    assert min(counts) >= 1
    assert min(counts) < 7  # some stored images stay outside the evidence
    assert (maps.rest is None) == (moved == "evidence")
    if moved == "all":
        assert float(maps.rest.abs().max()) > 1e-3
    assert float(maps.images.abs().max()) > (0 if variant == "memory-wrap" else -1)


@pytest.mark.parametrize("baseline", list(BASELINES))
@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_every_baseline_equals_the_slow_way(images, stored, baseline, moved):
    model = make().remember(stored)
    maps = heatmaps(model, images, steps=3, baseline=baseline, memory=moved)
    check_against(
        explain_slowly(model, images, steps=3, baseline=baseline, moved=moved), maps, **EXACT
    )
    assert (maps.baseline, maps.steps) == (baseline, 3)


@pytest.mark.parametrize(("moved", "batch_size"), [("evidence", 2), ("all", 100)])
def test_standard_model_gets_the_map_of_the_input_only(images, moved, batch_size):
    model = make("standard")
    maps = heatmaps(model, images, steps=4, memory=moved, batch_size=batch_size)
    slow = explain_slowly(model, images, steps=4, baseline="white", moved=moved)
    check_against(slow, maps, **EXACT)
    assert len(model(images).argmax(1).unique()) > 1
    assert maps.rest is None
    assert [e.shape for e in maps.evidence] == [(0, *SHAPE)] * 3


def test_captum_with_one_memory_per_row(images, stored):
    model = make(dtype=torch.float32).remember(stored)
    steps = 6
    maps = heatmaps(model, images, steps=steps, memory="all")

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
        assert_close(maps.images[b], relevance[0][0], rtol=0, atol=1e-5)
        expected = torch.cat([relevance[1 + i] for i in order.tolist()])
        assert_close(maps.evidence[b], expected, rtol=0, atol=1e-5)
        rest = [relevance[1 + i].sum() for i in range(len(stored)) if i not in order.tolist()]
        assert_close(maps.rest[b], torch.stack(rest).sum(), rtol=0, atol=1e-5)


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
    maps = heatmaps(model, images, steps=3, memory="all")
    check_against(
        explain_slowly(model, images, steps=3, baseline="white", moved="all"), maps, **EXACT
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
        heatmaps(model, images, memory="all")
    assert heatmaps(model, images, memory="evidence").rest is None


class Flat(nn.Module):
    """The pixels are the features."""

    def forward(self, images):
        return images.flatten(1)


def linear_model(variant, size):
    torch.manual_seed(1)
    return whence.wrap(
        Flat(), 3, variant, (1, *size), mean=[0.5], std=[0.25], classifier="linear"
    ).eval()


def test_one_memory_by_hand():
    """A weight of 1 whatever the similarity: the logit is linear in both images."""
    model = linear_model("memory-wrap", (2, 3))
    image, memory = torch.rand(2, 1, 1, 2, 3)
    maps = heatmaps(model.remember(memory), image, steps=1, baseline="black")
    chosen = int(model(image).argmax())
    weights = model.head.classifier.weight[chosen].detach().view(2, 2, 3)
    assert_close(maps.images[0, 0], weights[0] * image[0, 0] / 0.25)
    assert_close(maps.evidence[0][0, 0], weights[1] * memory[0, 0] / 0.25)
    assert_close(maps.completeness_error, torch.zeros(1), rtol=0, atol=1e-5)
    assert_close(maps.score_change, maps.images.sum((1, 2, 3)) + maps.evidence[0].sum())
    everything = heatmaps(model, image, steps=1, baseline="black", memory="all")
    assert_close(everything.images, maps.images)
    assert_close(everything.rest, torch.zeros(1))


def test_identical_memories_share_by_hand():
    model = linear_model("only-memory", (2, 2))
    image, memory = torch.rand(2, 1, 1, 2, 2)
    maps = heatmaps(model.remember(memory.repeat(4, 1, 1, 1)), image, steps=2, baseline="white")
    chosen = int(model(image).argmax())
    weights = model.head.classifier.weight[chosen].detach().view(2, 2)
    expected = (weights * (memory[0, 0] - 1) / 0.25 / 4).expand(4, 1, 2, 2)
    assert_close(maps.evidence[0], expected)
    assert_close(maps.images, torch.zeros(1, 1, 2, 2))


def test_completeness_error_goes_down_with_steps(rng, stored):
    model = make().remember(stored)
    images = draw(rng, 6)
    for moved in ("evidence", "all"):
        errors = [
            float(heatmaps(model, images, steps=steps, memory=moved).completeness_error.mean())
            for steps in (2, 16, 128)
        ]
        assert errors[1] < errors[0] / 3
        assert errors[2] < errors[1] / 3


@pytest.mark.parametrize("moved", ["evidence", "all"])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 13])
def test_batch_size_changes_nothing(images, stored, moved, batch_size):
    model = make().remember(stored)
    whole = heatmaps(model, images, steps=5, memory=moved, batch_size=1000)
    parts = heatmaps(model, images, steps=5, memory=moved, batch_size=batch_size)
    for name in ("images", "score_change", "completeness_error", "rest"):
        if getattr(whole, name) is not None:
            assert_close(getattr(parts, name), getattr(whole, name), **EXACT)
    for a, b in zip(parts.evidence, whole.evidence, strict=True):
        assert_close(a, b, **EXACT)


@pytest.mark.parametrize("batch_size", [2, 4])
def test_no_batch_is_larger_than_asked(images, stored, batch_size):
    model, sizes = make().remember(stored), []
    model.encoder.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    heatmaps(model, images, steps=5, memory="all", batch_size=batch_size)
    assert max(sizes) == batch_size


def test_few_pairs_at_once_change_nothing(images, stored, monkeypatch):
    model = make().remember(stored)
    whole, shapes = heatmaps(model, images, steps=4), []
    inner = feature_gradients.differentiate_active

    def watch(head, queries, read, *rest):
        shapes.append(tuple(read.shape[:2]))
        return inner(head, queries, read, *rest)

    monkeypatch.setattr(feature_gradients, "differentiate_active", watch)
    monkeypatch.setattr(feature_gradients, "PAIRS", 5)
    parts = heatmaps(model, images, steps=4)
    assert all(rows == 1 or rows * width <= 5 for rows, width in shapes)
    assert sum(rows for rows, _ in shapes) == 3 * (4 + 1)
    assert_close(parts.images, whole.images, **EXACT)
    assert_close(torch.cat(parts.evidence), torch.cat(whole.evidence), **EXACT)


@pytest.mark.parametrize("moved", ["evidence", "all"])
def test_a_stored_image_does_not_read_itself(images, stored, moved):
    model = make().remember(stored)
    asked = torch.cat([stored[[4]], images, stored[[1]]])
    maps = heatmaps(model, asked, steps=3, memory=moved)
    for row, others in (
        (0, [0, 1, 2, 3, 5, 6]),
        (1, [0, 1, 2, 3, 4, 5, 6]),
        (4, [0, 2, 3, 4, 5, 6]),
    ):
        alone = make().remember(stored[others])
        expected = heatmaps(alone, asked[[row]], steps=3, memory=moved)
        assert_close(maps.images[[row]], expected.images, **EXACT)
        assert_close(maps.evidence[row], expected.evidence[0], **EXACT)
        assert_close(maps.score_change[[row]], expected.score_change, **EXACT)
        assert_close(maps.completeness_error[[row]], expected.completeness_error, **EXACT)


def test_float_images_and_uint8_images_are_the_same(images, stored):
    model = make(dtype=torch.float32).remember(stored)
    expected = heatmaps(model, images, steps=3)
    found = heatmaps(model, (images.float() / 255).requires_grad_(), steps=3)
    assert_close(found.images, expected.images)
    assert not found.images.requires_grad
    assert found.images.dtype == torch.float32
    floats = make(dtype=torch.float32).remember((stored.float() + 0.3) / 256)
    assert floats.bank.images.dtype == torch.float32
    assert len(heatmaps(floats, images, steps=2).evidence) == 3


def test_stored_images_of_another_size_are_refused(rng):
    with pytest.raises(ValueError, match=r"memory_images must be \(B, 2, 8, 7\)"):
        make().remember(torch.rand(5, 2, 9, 11, generator=rng))


def test_half_precision_parameters_keep_float32_maps(images, stored):
    model = make(dtype=torch.bfloat16).remember(stored)
    maps = heatmaps(model, images, steps=8)
    assert maps.images.dtype == torch.float32
    expected = heatmaps(make(dtype=torch.float32).remember(stored), images, steps=8)
    assert_close(maps.score_change, expected.score_change, rtol=0.2, atol=0.2)


def state(model):
    return (
        [module.training for module in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [p.clone() for p in [*model.parameters(), *model.buffers()]],
        [len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()],
        model.bank.features.clone(),
        model.bank.images.clone(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("method", ["heatmaps", "why_similar"])
def test_no_trace_is_left(images, stored, broken, method):
    from whence.attribution.why_similar import why_similar

    model = make().remember(stored)
    model.encoder.layers[0].bias.requires_grad_(False)
    for parameter in model.head.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    asked = as_pixels(images).requires_grad_()
    before, pixels, calls = state(model), asked.detach().clone(), []

    def hook(module, inputs, output):
        calls.append(module)
        if broken and len(calls) == 6:
            raise ArithmeticError("broken")

    handle = model.encoder.register_forward_hook(hook)
    run = {"heatmaps": heatmaps, "why_similar": why_similar}[method]
    if broken:
        with pytest.raises(ArithmeticError, match="broken"), torch.no_grad():
            run(model, asked, batch_size=4)
    else:
        with torch.no_grad():
            maps = run(model, asked, batch_size=4, steps=4)
        assert not maps.images.requires_grad
    handle.remove()
    assert len(calls) >= 6
    for a, b in zip(before, state(model), strict=True):
        assert_close(a, b) if isinstance(a, torch.Tensor) else assert_same(a, b)
    assert asked.grad is None
    assert asked.requires_grad
    assert_close(asked.detach(), pixels, rtol=0, atol=0)


def assert_same(a, b):
    if isinstance(a, list) and any(isinstance(one, torch.Tensor) for one in a):
        for one, other in zip(a, b, strict=True):
            assert_close(one, other, rtol=0, atol=0) if one is not None else assert_same(one, other)
    else:
        assert a == b


def test_works_where_gradients_are_off(images, stored):
    model = make().remember(stored)
    expected = heatmaps(model, images, steps=3)
    with torch.inference_mode():
        found = heatmaps(model, images.clone(), steps=3)
    assert_close(found.images, expected.images, **EXACT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "grey"}, r"Unknown baseline 'grey'. Choose from: white, black, mean, blur."),
        ({"memory": "some"}, r"Unknown memory 'some'. Choose from: evidence, all."),
        ({"steps": 0}, r"steps must be at least 1, got 0."),
        ({"batch_size": 0}, r"batch_size must be at least 1, got 0."),
        ({"images": torch.zeros(0, *SHAPE)}, r"images must hold at least one image, got none."),
        (
            {"images": torch.zeros(SHAPE)},
            r"images must be \(B, 2, 8, 7\), .* got shape \(2, 8, 7\)",
        ),
        ({"images": torch.full((1, *SHAPE), 2.0)}, r"floats in \[0, 1\], got floats from 2 to 2"),
    ],
)
def test_what_cannot_be_asked(images, stored, options, message):
    model = make().remember(stored)
    with pytest.raises(ValueError, match=message):
        heatmaps(model, **{"images": images, **options})


def test_a_bank_is_needed_with_pixels(images, stored):
    with pytest.raises(RuntimeError, match=r"no memory yet; call model.remember"):
        heatmaps(make(), images)
    model = make().remember(stored)
    model.attach(dataclasses.replace(model.bank, images=None))
    with pytest.raises(ValueError, match=r"bank was saved without pixels, .* model.remember"):
        heatmaps(model, images)


class Detached(nn.Module):
    def __init__(self, *, trainable):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1)) if trainable else 1

    def forward(self, images):
        return images.detach().mean((2, 3)) * self.scale


@pytest.mark.parametrize("trainable", [False, True])
def test_an_encoder_without_a_gradient(images, trainable):
    model = whence.wrap(Detached(trainable=trainable), 3, "standard", SHAPE).eval()
    with pytest.raises(RuntimeError, match=r"encoder lets no gradient through .* remove no_grad"):
        heatmaps(model, images)


def test_midpoints():
    times, shares = midpoints(4)
    assert_close(times, torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64))
    assert_close(shares, torch.full((4,), 0.25, dtype=torch.float64))


def test_differentiate_along_by_differences(images):
    model, places = make(), torch.tensor([2, 0])
    times = torch.tensor([0.3, 0.8], dtype=torch.float64)
    options = model, images, places
    for size in (3, 128):
        found, speed = differentiate_along(*options, times, BASELINES["black"], batch_size=size)
        assert found.shape == speed.shape == (2, 2, 5)
        expected = encode_along(*options, times, BASELINES["black"], batch_size=4)
        assert_close(found, expected, **EXACT)
        later, before = (
            encode_along(*options, times + d, BASELINES["black"], batch_size=4)
            for d in (1e-6, -1e-6)
        )
        assert_close(speed, (later - before) / 2e-6, rtol=1e-6, atol=1e-8)
        assert not speed.requires_grad


@pytest.mark.parametrize("name", list(BASELINES))
def test_baselines(rng, name):
    images = torch.rand(2, 3, 9, 12, generator=rng, dtype=torch.float64)
    found = BASELINES[name](images)
    assert_close(found, start_of(name, images), **EXACT)
    assert found.dtype == torch.float64
    plain = torch.full((1, 1, 5, 4), 0.7)
    if name in ("mean", "blur"):
        assert_close(BASELINES[name](plain), plain)
    tiny = BASELINES[name](torch.full((1, 1, 1, 3), 0.25))
    assert tiny.shape == (1, 1, 1, 3)


def test_points_stay_inside_the_pixel_range(rng):
    images = torch.rand(40, 2, 8, 8, generator=rng).round()
    times = torch.rand(40, generator=rng)
    for name in BASELINES:
        points, changes = move(images, times, BASELINES[name])
        assert float(points.min()) >= 0
        assert float(points.max()) <= 1
        assert_close(changes, images - start_of(name, images))
    ends, _ = move(images, torch.ones(40), BASELINES["mean"])
    assert_close(ends, images)
    white = torch.ones(2, 1, 8, 9)
    assert float(BASELINES["blur"](white).max()) > 1  # by rounding
    points, _ = move(white, torch.tensor([0.0, 0.5]), BASELINES["blur"])
    assert float(points.max()) == 1


def test_encode_along_is_ordered_by_step_then_image(images):
    model = make()
    places, times = torch.tensor([2, 0]), torch.tensor([0.25, 0.5, 1.0], dtype=torch.float64)
    found = encode_along(model, images, places, times, BASELINES["black"], batch_size=4)
    assert found.shape == (3, 2, 5)
    expected = model.encode(0.5 * as_pixels(images[[2]]))
    assert_close(found[1, :1], expected.detach(), **EXACT)
    assert not found.requires_grad


def test_pick_takes_moved_features_only_where_they_move():
    features, moved = torch.arange(4.0)[:, None], torch.tensor([[[10.0], [20.0]], [[30.0], [40.0]]])
    memory = Memory(features, moved, torch.tensor([1, 3]), torch.ones(1, 4).bool(), None)
    found = pick(
        memory,
        torch.tensor([1, 0]),
        torch.tensor([[3, 1, 0], [3, 1, 2]]),
        torch.tensor([[True, True, False], [True, False, False]]),
    )
    assert_close(found[..., 0], torch.tensor([[40.0, 30.0, 0.0], [20.0, 1.0, 2.0]]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_on_another_device_than_the_images(images, stored):
    expected = heatmaps(make().remember(stored), images, memory="all")
    found = heatmaps(make().cuda().remember(stored), images, memory="all")
    assert found.images.device.type == "cpu"
    assert_close(found.images, expected.images, rtol=0, atol=1e-8)
    assert_close(found.rest, expected.rest, rtol=0, atol=1e-8)
