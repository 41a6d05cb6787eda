"""Operations that networks of one's own are made of: LRP-0 against the gradient, on each alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence

GENERATOR = torch.Generator().manual_seed(5)


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


IMAGES = draw(3, 2, 4, 6)
ROW, PLANE, BIAS = draw(48), draw(48, 5), draw(5)
PLACES = torch.rand(3, 3, 2, 2, generator=GENERATOR, dtype=torch.float64) * 2 - 1
PLACES.requires_grad_(requires_grad=False)


def flat(images):
    return images.flatten(1)


def scalar(value):
    return value.flatten(1).sum(1)


def dot_each(images):
    return torch.stack([torch.dot(one.flatten(), ROW) for one in images])


def unpool(images):
    largest, places = F.max_pool2d(images, 2, return_indices=True)
    return scalar(F.max_unpool2d(largest, places, 2))


LINEAR = {
    "mv": lambda x: flat(x) @ ROW,
    "dot": dot_each,
    "inner": lambda x: torch.inner(flat(x), ROW),
    "einsum of one": lambda x: torch.einsum("bchw,chw->b", x, ROW.view(2, 4, 6)),
    "einsum of maps": lambda x: scalar(
        torch.einsum("bcd,ed->bce", x.flatten(2), PLANE.view(10, 24))
    ),
    "tensordot": lambda x: scalar(torch.tensordot(flat(x), PLANE, 1)),
    "addcmul": lambda x: scalar(torch.addcmul(x, x, ROW.view(2, 4, 6), value=0.3)),
    "cumsum": lambda x: scalar(x.cumsum(1) * ROW.view(2, 4, 6)),
    "bicubic": lambda x: scalar(F.interpolate(x, scale_factor=2, mode="bicubic").relu()),
    "smooth": lambda x: scalar(F.interpolate(x, (3, 3), mode="bilinear", antialias=True).relu()),
    "smooth bicubic": lambda x: scalar(
        F.interpolate(x, (3, 3), mode="bicubic", antialias=True).relu()
    ),
    "line": lambda x: scalar(F.interpolate(x.flatten(2), 9, mode="linear").relu()),
    "volume": lambda x: scalar(F.interpolate(x[:, None], (3, 3, 3), mode="trilinear").relu()),
    "nearest line": lambda x: scalar(F.interpolate(x.flatten(2), 9).relu()),
    "nearest exact": lambda x: scalar(F.interpolate(x, (3, 9), mode="nearest-exact").relu()),
    "places": lambda x: scalar(F.grid_sample(x, PLACES, align_corners=False).relu()),
    "windows": lambda x: scalar(F.unfold(x, 3).relu() * ROW[:8]),
    "windows laid back": lambda x: scalar(F.fold(F.unfold(x, 3).relu(), (4, 6), 3) * ROW[:6]),
    "slices": lambda x: scalar(x.unfold(3, 3, 2).relu() * ROW[:3]),
    "diagonal": lambda x: scalar(x.diagonal(dim1=2, dim2=3) * ROW[:4]),
    "turned": lambda x: scalar(x.rot90(1, (2, 3)) * ROW[:4]),
    "shuffled": lambda x: scalar(F.channel_shuffle(x, 2) * ROW.view(2, 4, 6)),
    "triangle": lambda x: scalar(x.tril() * ROW.view(2, 4, 6)),
    "mirrored line": lambda x: scalar(F.pad(x.flatten(2), (2, 1), mode="reflect") * ROW[:27]),
    "repeated line": lambda x: scalar(F.pad(x.flatten(2), (2, 1), mode="replicate") * ROW[:27]),
    "largest three": lambda x: scalar(flat(x).topk(3, 1).values * ROW[:3]),
    "in order": lambda x: scalar(flat(x).sort(1).values * ROW),
    "least": lambda x: flat(x).amin(1),
    "least with its place": lambda x: flat(x).min(1).values,
    "largest with its place": lambda x: scalar(x.flatten(2).max(2).values),
    "unpooled": unpool,
}
"""Functions of images that are linear around every image, and 0 where it is 0."""


class Function(nn.Module):
    """Two logits, one of which is a function of the images."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        one = self.function(images)
        return torch.stack([one, 0 * one], 1)


def explain(function, method="lrp", **options):
    return whence.attribute(Function(function).eval(), IMAGES, method, 0, **options)


@pytest.mark.parametrize("name", list(LINEAR))
def test_lrp_0_is_gradient_times_input(name):
    found, wanted = explain(LINEAR[name], epsilon=0), explain(LINEAR[name], "gradient_x_input")
    assert float(wanted.images.abs().max()) > 1e-3
    assert_close(found.images, wanted.images, rtol=0, atol=1e-10)
    assert_close(found.images.sum((1, 2, 3)), found.score, rtol=0, atol=1e-10)
    assert_close(found.ledger["unexplained"], 0 * found.ledger["image"], rtol=0, atol=1e-10)


WITH_CONSTANTS = {
    "addmv": (lambda x: torch.addmv(BIAS[:3], flat(x), ROW), BIAS[:3]),
    "one bias": (lambda x: torch.addmv(BIAS[:1], flat(x), ROW), BIAS[:1].expand(3)),
    "half a bias": (
        lambda x: scalar(torch.addmm(BIAS, flat(x), PLANE, beta=0.5)),
        (BIAS.sum() / 2).expand(3),
    ),
    "addcmul": (
        lambda x: scalar(torch.addcmul(PLANE[:6, :4].T, x, ROW.view(2, 4, 6))),
        2 * PLANE[:6, :4].sum().expand(3),
    ),
}


@pytest.mark.parametrize("name", list(WITH_CONSTANTS))
def test_what_is_added_is_a_bias(name):
    function, constant = WITH_CONSTANTS[name]
    found, wanted = explain(function, epsilon=0), explain(function, "gradient_x_input")
    assert_close(found.images, wanted.images, rtol=0, atol=1e-10)
    assert_close(found.ledger["biases"], constant, rtol=0, atol=1e-10)
    assert_close(found.ledger["unexplained"], 0 * constant, rtol=0, atol=1e-10)


PRODUCTS = {
    "bilinear": lambda x: nn.functional.bilinear(flat(x), flat(x), draw_once)[:, 0],
    "einsum": lambda x: torch.einsum("bchw,bchw->b", x, x),
    "addcmul": lambda x: scalar(torch.addcmul(0 * x, x, x)),
}
draw_once = draw(1, 48, 48)


@pytest.mark.parametrize("name", ["bilinear", "einsum", "addcmul"])
def test_a_product_of_two_goes_half_to_each(name):
    """A function of degree two: half of gradient times input adds up to it."""
    found = explain(PRODUCTS[name], epsilon=0)
    wanted = explain(PRODUCTS[name], "gradient_x_input").images / 2
    assert_close(found.images, wanted, rtol=0, atol=1e-9)
    assert_close(found.images.sum((1, 2, 3)), found.score, rtol=0, atol=1e-9)


def test_what_is_added_to_a_product_of_two_is_not_halved():
    def function(images):
        rows = flat(images)[:, None]  # (B, 1, 48)
        return torch.baddbmm(rows @ ROW[:, None], rows, rows.mT)[:, 0, 0]

    found, flat_images = explain(function, epsilon=0), IMAGES.flatten(1)
    wanted = flat_images * ROW + flat_images.square()
    assert_close(found.images.flatten(1), wanted, rtol=0, atol=1e-9)
    assert_close(found.ledger["unexplained"], torch.zeros(3).double(), rtol=0, atol=1e-9)


def test_a_convolution_whose_weights_depend_on_the_images_has_its_bias():
    def function(images):
        weight = images[:, :1].mean((0, 2, 3)).expand(1, 2, 3, 3)
        return scalar(F.conv2d(images, weight, BIAS[:1]))

    one = IMAGES[:1]
    network = Function(function).eval()
    found = whence.attribute(network, one, "lrp", 0, epsilon=0)
    assert_close(found.ledger["biases"], 8 * BIAS[:1], rtol=0, atol=1e-9)
    assert_close(found.ledger["unexplained"], torch.zeros(1).double(), rtol=0, atol=1e-9)


def test_a_gated_unit_gives_all_to_the_half_that_is_let_through():
    found = explain(lambda x: scalar(F.glu(x, 1)), epsilon=0)
    wanted = IMAGES[:, :1] * IMAGES[:, 1:].sigmoid()
    assert_close(found.images[:, :1], wanted, rtol=0, atol=1e-10)
    assert float(found.images[:, 1:].abs().max()) == 0


def test_places_that_depend_on_the_images_are_constants():
    def function(images):
        shift = images.mean((1, 2, 3)).view(-1, 1, 1, 1) / 9
        return scalar(F.grid_sample(images, PLACES + shift, align_corners=False))

    found = explain(function, epsilon=0)
    shift = IMAGES.mean((1, 2, 3)).view(-1, 1, 1, 1) / 9
    fixed = explain(
        lambda x: scalar(F.grid_sample(x, PLACES + shift, align_corners=False)), "gradient_x_input"
    )
    assert_close(found.images, fixed.images, rtol=0, atol=1e-10)


@pytest.mark.parametrize("last", [lambda x: x.log_softmax(1)[:, 1], lambda x: x.logsumexp(1)])
def test_log_softmax_keeps_what_its_tangent_does_not_explain(last):
    def function(images):
        return last(flat(images) @ PLANE)

    found, wanted = explain(function, epsilon=0), explain(function, "gradient_x_input")
    assert_close(found.images, wanted.images, rtol=0, atol=1e-9)
    assert float(found.ledger["biases"].abs().min()) > 1e-3
    assert_close(found.ledger["unexplained"], torch.zeros(3).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "function", [torch.erf, torch.sin, torch.log1p, torch.expm1, F.celu, F.softshrink, F.hardshrink]
)
def test_an_activation_passes_everything_back(function):
    found = explain(lambda x: scalar(function(x.relu()) * ROW.view(2, 4, 6)), epsilon=0)
    wanted = function(IMAGES.relu()) * ROW.view(2, 4, 6)
    assert_close(found.images, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", ["z_plus", "alpha_beta", "gamma", "w_squared", "flat"])
def test_rules_treat_a_product_with_a_vector_as_a_dense_layer(rule):
    vector = explain(lambda x: torch.addmv(BIAS[:1], flat(x), ROW), rule=rule)
    dense = explain(lambda x: torch.addmm(BIAS[:1], flat(x), ROW[:, None])[:, 0], rule=rule)
    assert_close(vector.images, dense.images)
    assert_close(vector.ledger["biases"], dense.ledger["biases"])


@pytest.mark.parametrize("name", ["mv", "dot", "bilinear", "least", "largest three", "cumsum"])
def test_deeplift_is_told_completely(name):
    function = (LINEAR | PRODUCTS)[name]
    found = explain(function, "deeplift", baseline=0 * IMAGES[0] + 0.1)
    assert_close(found.ledger["unexplained"], torch.zeros(3).double(), rtol=0, atol=1e-9)
