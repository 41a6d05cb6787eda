"""The axioms of Sundararajan, Taly and Yan (2017), on the functions that they are told with."""

import pytest
import torch
from torch.testing import assert_close

from whence.attribution import METHODS
from whence.attribution.method import find_method
from whence.attribution.score import FunctionScore

POINT = torch.tensor([3.0, 1.0], dtype=torch.float64).view(1, 1, 1, 2)


def f(x):
    return torch.relu(torch.relu(x[:, 0]) - 1 - torch.relu(x[:, 1]))


def g(x):
    return torch.relu(torch.relu(x[:, 0] - 1) - torch.relu(x[:, 1]))


def flat(x):
    return 1 - torch.relu(1 - x[:, 0])


def curved(x):
    return x[:, 0] * x[:, 1] + torch.sin(3 * x[:, 0]) + x[:, 1] ** 2


def even(x):
    return torch.sigmoid(x[:, 0] + x[:, 1]) * x[:, 0] * x[:, 1] * (1 + x[:, 2])


def explain(method, function, x):
    """Explain a function of the values of one image, from 0 where there is a start."""
    pixels = torch.as_tensor(x, dtype=torch.float64).view(1, 1, 1, -1)
    needed = {
        "baseline": torch.zeros_like(pixels[0]),
        "baselines": torch.zeros_like(pixels),
        "fill": torch.zeros_like(pixels[0]),
        "generator": torch.Generator().manual_seed(0),
        "path": torch.linspace(0, 1, 401, dtype=torch.float64).view(1, -1, 1, 1, 1) * pixels,
        "rivals": torch.zeros_like(pixels),
        "patch": 1,
        "steps": 200,
        "epsilon": 0.0,
    }
    options = {name: needed[name] for name in find_method(method).options if name in needed}
    score = FunctionScore(lambda some, rows: function(some.flatten(1)))
    return METHODS[method](score, pixels, **options)


PATHS = ["integrated_gradients", "path_integrated_gradients", "expected_gradients"]
COMPLETE = [*PATHS, "kernel_shap"]
LINEAR = [*COMPLETE, "gradient", "gradient_x_input", "smoothgrad", "occlusion", "lime"]


@pytest.mark.parametrize("function", [f, g])
@pytest.mark.parametrize("method", PATHS)
def test_two_networks_of_one_function_have_the_published_attributions(method, function):
    assert float(function(POINT.flatten(1))) == 1
    found = explain(method, function, POINT)
    assert_close(found.images.flatten().tolist(), [1.5, -0.5], rtol=0, atol=0.02)


@pytest.mark.parametrize("method", COMPLETE)
@pytest.mark.parametrize(("function", "x"), [(f, [3, 1]), (curved, [0.7, 1.2]), (flat, [2.0, 0.0])])
def test_completeness(method, function, x):
    found = explain(method, function, x)
    point = torch.tensor([x], dtype=torch.float64)
    assert_close(found.images.sum(), (function(point) - function(0 * point))[0], rtol=0, atol=0.02)
    assert_close(found.start, function(0 * point), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", [*COMPLETE, "occlusion"])
def test_sensitivity_a_holds_where_a_function_is_flat(method):
    """The function went from 0 to 1, though its slope at 2 is 0."""
    assert_close(float(explain(method, flat, [2.0]).images), 1.0, rtol=0, atol=0.02)


@pytest.mark.parametrize("method", ["gradient", "gradient_x_input"])
def test_sensitivity_a_is_broken_by_gradients(method):
    assert float(explain(method, flat, [2.0]).images) == 0


@pytest.mark.parametrize("method", [one for one in [*LINEAR, "taylor"] if one != "lime"])
def test_sensitivity_b_what_is_not_read_gets_nothing(method):
    found = explain(method, lambda x: curved(x[:, [0, 2]]), [0.7, 5.0, 1.2]).images.flatten()
    assert_close(found[1], torch.zeros(()).double(), rtol=0, atol=1e-9)
    assert float(found[0]) != 0


@pytest.mark.parametrize("method", LINEAR)
def test_linearity(method):
    x = [0.7, 1.2]
    one, other = (explain(method, function, x).images for function in (f, curved))
    both = explain(method, lambda v: 2 * f(v) - 3 * curved(v), x).images
    assert_close(both, 2 * one - 3 * other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", [*COMPLETE, "gradient", "occlusion"])
def test_symmetry_equal_parts_get_equal_shares(method):
    found = explain(method, even, [0.8, 0.8, 0.3]).images.flatten()
    assert_close(found[0], found[1], rtol=0, atol=1e-9)
    assert abs(float(found[0] - found[2])) > 1e-3


def layered(seed):
    """A network of two layers, which treats its first two inputs alike, and the third one not."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    weight[1] = weight[0]
    bias, last = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    return lambda x: torch.tanh(torch.relu(x @ weight + bias) @ last.abs()[:, None])[:, 0]


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_linearity_layer_by_layer(method):
    """A sum passes on to each term what it adds, without a stabiliser that takes of it."""
    one, other, x = layered(1), layered(2), [0.7, 1.2, -0.4]
    parts = [explain(method, function, x).images for function in (one, other)]
    both = explain(method, lambda v: 2 * one(v) - 3 * other(v), x).images
    assert_close(both, 2 * parts[0] - 3 * parts[1], rtol=0, atol=1e-9)
    assert float(both.abs().min()) > 1e-3


@pytest.mark.parametrize(
    "method",
    ["lrp", "deep_taylor", "deeplift", "excitation_backprop", "guided_backprop", "deconvnet"],
)
def test_symmetry_layer_by_layer_where_the_network_itself_treats_two_inputs_alike(method):
    for seed in (1, 2):
        found = explain(method, layered(seed), [0.8, 0.8, 0.3]).images.flatten()
        assert_close(found[0], found[1], rtol=0, atol=1e-12)
        assert abs(float(found[0] - found[2])) > 1e-3


def test_deeplift_of_a_symmetric_function_that_is_computed_in_an_order_is_not_symmetric():
    found = explain("deeplift", even, [0.8, 0.8, 0.3]).images.flatten()
    assert abs(float(found[0] - found[1])) > 1e-3


@pytest.mark.parametrize("method", ["excitation_backprop", "guided_backprop", "deconvnet"])
def test_linearity_is_broken_by_what_holds_back_negative_numbers(method):
    one, other, x = layered(1), layered(2), [0.7, 1.2, -0.4]
    parts = [explain(method, function, x).images for function in (one, other)]
    both = explain(method, lambda v: 2 * one(v) - 3 * other(v), x).images
    assert float((both - 2 * parts[0] + 3 * parts[1]).abs().max()) > 1e-3
