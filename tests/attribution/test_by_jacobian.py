"""Operations of networks of one's own: layer-wise relevance against a slow copy by the Jacobian."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence

GENERATOR = torch.Generator().manual_seed(5)
EPSILON = 0.25


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


IMAGES = draw(2, 2, 3, 4)
ROW, PLANE = draw(24), draw(24, 5)
ORDER, TARGETS = torch.tensor([3, 0, 2, 1]), torch.tensor([2, 0, 1, 2, 4])
PLACES = torch.rand(1, 1, 1, 3, 3, generator=GENERATOR, dtype=torch.float64) * 2 - 1
PLACES.requires_grad_(requires_grad=False)


def flat(images):
    return images.flatten(1)


def zeros(images, width):
    return torch.zeros(len(images), width, dtype=images.dtype)


def some(images):
    """More than 0, for functions that need it."""
    return flat(images).square() + 0.5


def by_place(images):
    found = flat(images).clone()
    found[:, ORDER] = flat(images)[:, 5:9]
    return found


def added_by_place(images):
    return flat(images).index_put((slice_rows(images), TARGETS), ROW[:5], accumulate=True)


def slice_rows(images):
    return torch.arange(len(images))[:, None]


def written_over(images):
    found = images.clone()
    found[:, :, 1] = images[:, :, 0]
    found[:, 1].clamp_(min=0)
    return found


def framed(images):
    found = torch.ones(len(images), 2, 5, 6, dtype=images.dtype)
    found[:, :, 1:4, 1:5] = images
    found[:, :, 0] = 3
    return found


def emptied(images):
    found = images.clone()
    found[:, 0, 1].zero_()
    found[:, 1, 2].fill_(2)
    return found


def in_the_order_of_parts(images):
    whole = flat(images).clone()
    first, second = whole[:, :12], whole[:, 12:]
    first.mul_(2)
    second.add_(first)
    return torch.cat([second, first], 1)


ROUTES = {
    "median": lambda x: flat(x).median(1).values,
    "median of few that are no numbers": lambda x: flat(x).nanmedian(1, keepdim=True).values,
    "third": lambda x: flat(x).kthvalue(3, 1).values,
    "third of rows": lambda x: x.kthvalue(2).values,
    "most frequent": lambda x: x.mode().values,
    "running maximum": lambda x: x.cummax(2).values,
    "running minimum": lambda x: x.cummin(1).values,
    "scatter": lambda x: zeros(x, 9).scatter(1, ORDER.expand(len(x), 4), flat(x)[:, :4]),
    "scatter a number": lambda x: flat(x).scatter(1, ORDER.expand(len(x), 4), 2.0),
    "index_copy": lambda x: zeros(x, 5).index_copy(1, ORDER, flat(x)[:, :4]),
    "index_fill": lambda x: flat(x).index_fill(1, ORDER, -1.5),
    "by place": by_place,
    "select_scatter": lambda x: x.select_scatter(x[:, 0], 1, 1),
    "slice_scatter": lambda x: x.slice_scatter(x[:, :, :2], 2, 1, 3).flatten(1)[:, :9],
    "diagonal": lambda x: flat(x)[:, :3].diag_embed(),
    "deepest": lambda x: F.adaptive_max_pool3d(x[:, None], (1, 2, 2)),
    "mirrored": lambda x: F.pad(x[:, None], (1, 2, 1, 1, 1, 0), mode="reflect"),
    "repeated": lambda x: F.pad(x[:, None], (1, 2, 1, 1, 1, 0), mode="replicate"),
    "in a circle": lambda x: F.pad(x, (1, 2, 1, 0), mode="circular"),
    "written over": written_over,
    "framed": framed,
    "emptied": emptied,
}
"""Every number that comes out is one that went in, or a constant."""

SUMS = {
    "addbmm": lambda x: torch.addbmm(PLANE[:1, :5], flat(x)[None], PLANE[None], beta=0.5),
    "addr": lambda x: torch.stack([torch.addr(PLANE, one.flatten(), ROW[:5]) for one in x]),
    "cross": lambda x: torch.linalg.cross(x, ROW.view(1, 2, 3, 4), dim=2),
    "lerp": lambda x: torch.lerp(x, x.flip(2), 0.3),
    "lerp to a constant": lambda x: torch.lerp(x, ROW.view(2, 3, 4), 0.3),
    "addcdiv": lambda x: torch.addcdiv(x, x.flip(1), ROW.view(2, 3, 4), value=0.5),
    "scatter_add": lambda x: zeros(x, 5).scatter_add(1, TARGETS.expand(len(x), 5), flat(x)[:, :5]),
    "index_add": lambda x: (
        PLANE[:1].repeat(len(x), 1).index_add(1, TARGETS, flat(x)[:, :5], alpha=2)
    ),
    "added by place": added_by_place,
    "trace": lambda x: torch.stack([one[0, :3, :3].trace() for one in x]),
    "sampled in space": lambda x: F.grid_sample(
        x[:, None], PLACES.expand(len(x), -1, -1, -1, -1), align_corners=False
    ),
    "quantile": lambda x: flat(x).quantile(0.83, 1),
}
"""Numbers are sums of numbers with constant factors, and constants."""

TANGENTS = {
    "log": lambda x: some(x).log(),
    "log2": lambda x: some(x).log2(),
    "log10": lambda x: some(x).log10(),
    "logit": lambda x: (some(x) / 30).logit(),
    "reciprocal": lambda x: some(x).reciprocal(),
    "rsqrt": lambda x: some(x).rsqrt(),
    "a negative power": lambda x: some(x) ** -1.5,
    "length": lambda x: flat(x).norm(dim=1),
    "sum of sizes": lambda x: flat(x).norm(p=1, dim=1),
    "deviation": lambda x: x.std((1, 2)),
    "running logsumexp": lambda x: flat(x).logcumsumexp(1),
}
"""What the tangent explains is passed back, the rest is a constant."""

FACTORS = {
    "prod": lambda x: x.prod(2),
    "prod of all": lambda x: torch.stack([(2 * one[0, 0]).prod() for one in x]),
    "cumprod": lambda x: x.cumprod(-1),
}
"""Products go to their factors in equal parts."""

PASSED = {
    "sign": torch.sign,
    "round": lambda x: (3 * x).round(),
    "floor": torch.floor,
    "frac": torch.frac,
    "remainder": lambda x: x.remainder(0.7),
    "nan_to_num": torch.nan_to_num,
    "cos": torch.cos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "asinh": torch.asinh,
    "erfc": torch.erfc,
    "logsigmoid": F.logsigmoid,
    "power of a number": lambda x: 1.5**x,
}
"""Functions of one number, which gets everything but what the function is at 0."""


class Summed(nn.Module):
    """Two logits, the first of which is the sum of what an operation makes of an image."""

    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, images):
        one = self.operation(images).reshape(len(images), -1).sum(1)
        return torch.stack([one, 0 * one], 1)


def away(value):
    return value + (EPSILON if value >= 0 else -EPSILON)


def find_parts(how, place, value, slopes, pixels, at_zero):
    """Find which part of the relevance of one number each pixel gets."""
    if how == "route":
        return slopes
    if how == "sum":
        return slopes * pixels / away(value)
    if how == "tangent":
        return slopes * pixels / value
    if how == "factors":
        return (slopes != 0).double() / (slopes != 0).sum()
    own = torch.zeros_like(pixels)
    own[place] = 1 if at_zero == 0 else (value - at_zero) / away(value)
    return own


def share_slowly(how, operation, image):
    """Share the sum of what an operation makes of one image, number by number."""

    def compute(one):
        return operation(one[None]).flatten()

    values, pixels = compute(image), image.flatten()
    jacobian = torch.autograd.functional.jacobian(compute, image).view(len(values), -1)
    score, at_zero = values.sum(), 0.0
    if how == "pass":
        at_zero = float(compute(torch.zeros_like(image))[0])
    shares, kept, lost = torch.zeros_like(pixels), 0.0, score - values.sum() * score / away(score)
    for place, (value, slopes) in enumerate(zip(values, jacobian, strict=True)):
        relevance = value * score / away(score)
        parts = find_parts(how, place, value, slopes, pixels, at_zero)
        shares += relevance * parts
        given = relevance
        if how == "sum" or (how == "pass" and at_zero != 0):
            given = relevance * value / away(value)
        lost += relevance - given
        kept += given - relevance * parts.sum()
    return shares.view(image.shape), kept, lost


ALL = {
    "route": ROUTES,
    "sum": SUMS,
    "factors": FACTORS,
    "pass": PASSED,
}


def explain(operation, method="lrp", **options):
    return whence.attribute(Summed(operation).eval(), IMAGES, method, 0, **options)


def check(how, operation):
    found = explain(operation, epsilon=EPSILON)
    for row, image in enumerate(IMAGES):
        shares, kept, lost = share_slowly(how, operation, image)
        assert float(shares.abs().max()) > 1e-3
        assert_close(found.images[row], shares, rtol=0, atol=1e-9)
        assert_close(float(found.ledger["biases"][row]), float(kept), rtol=0, atol=1e-9)
        assert_close(float(found.ledger["stabiliser"][row]), float(lost), rtol=0, atol=1e-9)
    assert float(found.ledger["unexplained"].abs().max()) < 1e-9


@pytest.mark.parametrize(
    ("how", "name"), [(how, name) for how, table in ALL.items() for name in table]
)
def test_an_operation_shares_as_its_jacobian_says(how, name):
    check(how, ALL[how][name])


@pytest.mark.parametrize("name", list(TANGENTS))
def test_what_is_infinite_at_zero_is_shared_by_its_tangent(name):
    """Of what comes before it: squares and a constant, which share as they always do."""
    operation = TANGENTS[name]
    found = explain(operation, epsilon=0)
    score = operation(IMAGES).reshape(len(IMAGES), -1).sum(1)
    assert_close(found.score, score)
    assert float(found.images.abs().amax((1, 2, 3)).min()) > 1e-3
    assert float(found.ledger["unexplained"].abs().max()) < 1e-9
    if name in ("length", "sum of sizes", "deviation", "running logsumexp"):
        wanted = explain(operation, "gradient_x_input").images
    else:
        inner = some(IMAGES)
        passed = inner * torch.autograd.functional.jacobian(
            lambda x: operation_of(name)(x).sum(), inner
        )
        wanted = (passed * flat(IMAGES).square() / inner).view(IMAGES.shape)
    assert_close(found.images, wanted, rtol=0, atol=1e-9)


def operation_of(name):
    """Return what is done to numbers above 0."""
    return {
        "log": torch.log,
        "log2": torch.log2,
        "log10": torch.log10,
        "logit": lambda x: (x / 30).logit(),
        "reciprocal": torch.reciprocal,
        "rsqrt": torch.rsqrt,
        "a negative power": lambda x: x**-1.5,
    }[name]


def test_parts_of_one_memory_that_are_changed_do_not_touch_each_other():
    found = explain(in_the_order_of_parts, epsilon=0)
    wanted = explain(in_the_order_of_parts, "gradient_x_input")
    assert_close(found.images, wanted.images, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["written over", "framed", "emptied", "in a circle", "third"])
def test_deeplift_is_told_of_what_was_written_over(name):
    found = explain(ROUTES[name], "deeplift", baseline=0 * IMAGES[0] + 0.1)
    assert float(found.ledger["unexplained"].abs().max()) < 1e-9


def test_an_instance_norm_is_a_group_norm_of_single_channels():
    torch.manual_seed(0)
    one, other = nn.InstanceNorm2d(2, affine=True).double(), nn.GroupNorm(2, 2).double()
    with torch.no_grad():
        one.weight.copy_(ROW[:2])
        one.bias.copy_(ROW[2:4])
    other.load_state_dict(one.state_dict())
    weights = ROW.view(2, 3, 4)
    found = explain(lambda x: (one.eval()(x) * weights).relu())
    wanted = explain(lambda x: (other.eval()(x) * weights).relu())
    assert_close(found.images, wanted.images)
    assert_close(found.ledger["biases"], wanted.ledger["biases"])
    told = explain(
        lambda x: (one(x) * weights).relu(), "deeplift", baseline=IMAGES[0].flip(2)
    ).ledger["unexplained"]
    assert float(told.abs().max()) < 0.05


def run_gru(layer, steps):
    """Compute what a gated recurrent unit does, step by step and without anything in place."""
    hidden = steps.new_zeros(len(steps), layer.hidden_size)
    for step in steps.unbind(1):
        read = F.linear(step, layer.weight_ih_l0, layer.bias_ih_l0).chunk(3, 1)
        kept = F.linear(hidden, layer.weight_hh_l0, layer.bias_hh_l0).chunk(3, 1)
        reset, update = ((kept[k] + read[k]).sigmoid() for k in (0, 1))
        new = (read[2] + kept[2] * reset).tanh()
        hidden = (hidden - new) * update + new
    return hidden


def run_lstm(layer, steps):
    """The same for a unit with long and short memory."""
    hidden = cell = steps.new_zeros(len(steps), layer.hidden_size)
    for step in steps.unbind(1):
        gates = F.linear(hidden, layer.weight_hh_l0, layer.bias_hh_l0)
        gates = gates + F.linear(step, layer.weight_ih_l0, layer.bias_ih_l0)
        enter, forget, new, leave = gates.chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
    return hidden


def run_rnn(layer, steps):
    """The same for a plain recurrent layer."""
    hidden = steps.new_zeros(len(steps), layer.hidden_size)
    for step in steps.unbind(1):
        read = F.linear(step, layer.weight_ih_l0, layer.bias_ih_l0)
        kept = F.linear(hidden, layer.weight_hh_l0, layer.bias_hh_l0)
        hidden = (read + kept).tanh()
    return hidden


@pytest.mark.parametrize(
    ("kind", "slowly"), [(nn.GRU, run_gru), (nn.LSTM, run_lstm), (nn.RNN, run_rnn)]
)
def test_a_recurrent_layer_is_what_it_computes_step_by_step(kind, slowly):
    torch.manual_seed(0)
    layer = kind(8, 5, batch_first=True).double().eval()

    def steps(images):
        return images.transpose(1, 2).flatten(2)  # (B, 3, 8)

    found = explain(lambda x: layer(steps(x))[0][:, -1])
    wanted = explain(lambda x: slowly(layer, steps(x)))
    assert_close(found.score, wanted.score)
    assert_close(found.images, wanted.images, rtol=0, atol=1e-8)
    assert_close(found.ledger["biases"], wanted.ledger["biases"], rtol=0, atol=1e-8)
    assert float(found.ledger["unexplained"].abs().max()) < 1e-9


WITHOUT = {
    "renorm": lambda x: x.renorm(2, 0, 1.0),
    "linalg_inv_ex": lambda x: torch.linalg.inv(x[:, :, :3, :3]),
    "_cdist_forward": lambda x: torch.cdist(flat(x), PLANE.T),
    "var": lambda x: x.var((1, 2)),
    "pow of two values": lambda x: some(x) ** some(x),
    "scatter with reduce": lambda x: flat(x).scatter(
        1, ORDER.expand(len(x), 4), flat(x)[:, :4], reduce="add"
    ),
    "view_as_real": lambda x: x + torch.fft.ifft2(torch.fft.fft2(x)).real,
    "batch normalisation in training mode": lambda x: F.batch_norm(x, None, None, training=True),
}


@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter")
@pytest.mark.parametrize("name", list(WITHOUT))
def test_an_operation_without_a_rule_is_one_sentence_with_its_name(name):
    with pytest.raises(ValueError, match=rf"have a rule, it has {name}"):
        explain(WITHOUT[name])
