"""Small models, a formula, and a slow second implementation, for the tests of attribution."""

import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.attribution.score import FunctionScore

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


class Flat(nn.Module):
    """The pixels are the features."""

    def forward(self, images):
        return images.flatten(1)


def draw(rng, total):
    return torch.randint(0, 256, (total, *SHAPE), generator=rng, dtype=torch.uint8)


def draw_asked_and_stored():
    """Three images to explain and seven to remember."""
    generator = torch.Generator().manual_seed(0)
    return draw(generator, 3), draw(generator, 9)[2:]


def make(variant="memory-wrap", similarity="cosine", *, dtype=torch.float64, spread=6.0):
    """Build a model whose features differ enough that few of seven memories get a weight."""
    torch.manual_seed(3)
    model = whence.wrap(
        Net(),
        4,
        variant=variant,
        image_shape=SHAPE,
        mean=[0.4, 0.6],
        std=[0.3, 0.2],
        similarity=similarity,
    )
    with torch.no_grad():
        model.encoder.layers[1].running_mean.normal_()
        model.encoder.layers[-1].weight.mul_(spread)
        if variant == "votes":
            return model.eval().to(dtype)
        images, stored = draw_asked_and_stored()
        logits = model.eval()(images, *([stored] if model.has_memory else []))
        last = [layer for layer in model.head.modules() if isinstance(layer, nn.Linear)][-1]
        last.bias -= logits.mean(0)  # so that not all images are put in one class
    return model.to(dtype)


def make_linear(variant, size):
    """Build a model whose features are its pixels, and whose last layer is linear."""
    torch.manual_seed(1)
    return whence.wrap(
        Flat(),
        3,
        variant=variant,
        image_shape=(1, *size),
        mean=[0.5],
        std=[0.25],
        classifier="linear",
    ).eval()


class Quadratic:
    """A score ``w x + x Q x / 2`` of images (2, 3, 4), another w for every image.

    Its gradient is linear, so that midpoint and trapezoid give integrals exactly.
    """

    shape = (2, 3, 4)

    def __init__(self, total=3, *, seed=0):
        rng = torch.Generator().manual_seed(seed)
        values = 2 * 3 * 4
        self.weights = torch.randn(total, values, generator=rng, dtype=torch.float64)
        curve = torch.randn(values, values, generator=rng, dtype=torch.float64) / 5
        self.curve = curve + curve.T
        self.images = torch.rand(total, *self.shape, generator=rng, dtype=torch.float64)

    def __call__(self, images, rows):
        flat = images.flatten(1)
        return (self.weights[rows] * flat).sum(1) + (flat @ self.curve * flat).sum(1) / 2

    def score(self, batch_size=128):
        return FunctionScore(self, batch_size)

    def slope(self, images):
        return (self.weights + images.flatten(1) @ self.curve).view_as(images)


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


def predict_one(logits):
    """The logit of the highest class, the same class at every point of a path."""
    chosen = int(logits.argmax())
    return lambda some: some[:, chosen]


def explain_slowly(model, images, *, steps, baseline, moved, choose=predict_one):
    """One image and one step at a time, plain autograd through all of the model.

    ``choose`` takes the logits `(1, K)` of an image to the function of logits that is explained.
    """
    rows = []
    for image in as_pixels(images):
        x = image[None]
        x0 = start_of(baseline, x)
        if not model.has_memory:
            relevance, score = torch.zeros_like(x), choose(model(x).detach())
            for k in range(steps):
                leaf = (x0 + (k + 0.5) / steps * (x - x0)).requires_grad_()
                (gradient,) = torch.autograd.grad(score(model(leaf))[0], leaf)
                relevance += gradient * (x - x0) / steps
            ends = score(model(x))[0].detach(), score(model(x0))[0].detach()
            rows.append((relevance[0], x.new_zeros(0, *SHAPE), None, *ends))
            continue
        m = as_pixels(model.bank.images)
        m0 = start_of(baseline, m)
        read = model.head(model.encode(x), model.encode(m))
        score, weights = choose(read.logits.detach()), read.weights[0]
        evidence = sorted((weights > 0).nonzero()[:, 0].tolist(), key=lambda i: -weights[i])
        moving = torch.zeros(len(m), 1, 1, 1, dtype=x.dtype)
        moving[evidence if moved == "evidence" else slice(None)] = 1
        m0 = m + moving * (m0 - m)
        others = [i for i in range(len(m)) if i not in evidence]

        def value(x, features, score=score):
            return score(model.head(model.encode(x), features).logits)[0]

        relevance, parts = torch.zeros_like(x), torch.zeros_like(m)
        for k in range(steps):
            t = (k + 0.5) / steps
            leaf, leaves = (
                (a + t * (b - a)).detach().requires_grad_() for a, b in ((x0, x), (m0, m))
            )
            a, b = torch.autograd.grad(value(leaf, model.encode(leaves)), (leaf, leaves))
            relevance += a * (x - x0) / steps
            parts += b * (m - m0) / steps
        ends = value(x, model.encode(m)).detach(), value(x0, model.encode(m0)).detach()
        rows.append((relevance[0], parts[evidence], parts[others].sum(), *ends))
    return rows


def check_against(slow, found, **tolerance):
    """Compare a ``Relevance`` with what ``explain_slowly`` gave, ledger included."""
    for b, (relevance, evidence, rest, end, start) in enumerate(slow):
        assert_close(found.images[b], relevance, **tolerance)
        assert_close(found.evidence[b], evidence, **tolerance)
        assert_close(found.score[b], end, **tolerance)
        assert_close(found.start[b], start, **tolerance)
        told = {"image": relevance.sum()}
        if rest is not None:
            told["evidence"] = evidence.sum()
        if found.rest is not None:
            assert_close(found.rest[b], rest, **tolerance)
            told["outside the evidence"] = rest
        told["unexplained"] = end - start - sum(told.values())
        assert list(found.ledger) == list(told)
        for name, amount in told.items():
            assert_close(found.ledger[name][b], amount, **tolerance)


def state_of(model):
    """All that a method could leave changed in a network."""
    bank = getattr(model, "bank", None)
    return (
        [module.training for module in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [p.clone() for p in [*model.parameters(), *model.buffers()]],
        [
            [*m._forward_hooks, *m._forward_pre_hooks, *m._backward_hooks, *m._backward_pre_hooks]
            for m in model.modules()
        ],
        [] if bank is None else [bank.features.clone(), bank.images.clone()],
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
    )


def same_state(before, after):
    """Compare two states bit for bit."""
    for one, other in zip(before, after, strict=True):
        if not isinstance(one, list):
            assert one == other
            continue
        for a, b in zip(one, other, strict=True):
            if isinstance(a, torch.Tensor):
                assert_close(a, b, rtol=0, atol=0)
            else:
                assert a == b
