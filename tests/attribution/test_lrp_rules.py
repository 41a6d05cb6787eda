"""Every rule of layer-wise relevance propagation against its definition, term by term, and zennit."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import (
    EpsilonAlpha2Beta1,
    EpsilonAlpha2Beta1Flat,
    EpsilonGammaBox,
    EpsilonPlus,
    EpsilonPlusFlat,
)
from zennit.rules import Gamma

import whence
from tests.helpers.layerwise import randomise
from whence.attribution.graph.affine import READERS
from whence.attribution.graph.rules import RULES, Box, Numbers, box
from whence.attribution.graph.tape import record_score

EXACT = {"rtol": 0, "atol": 1e-10}


def layers(rng):
    """Layers with weights, and inputs of both signs."""
    torch.manual_seed(int(torch.randint(100, (), generator=rng)))
    yield nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2).double(), (2, 4, 5, 4)
    yield nn.ConvTranspose2d(2, 3, 2, stride=2).double(), (2, 2, 2, 3)
    yield nn.Conv1d(2, 3, 2, bias=False).double(), (2, 2, 4)
    yield nn.Linear(5, 3).double(), (2, 5)


def read(module, images):
    """Read a module as the layer that a tape sees."""
    rows = [torch.arange(len(images))]
    found = record_score(lambda some: module(some).flatten(1).sum(1), [images], rows, ())
    node = next(node for node in found.nodes if node.operation in READERS)
    return READERS[node.operation](node)


def find_terms(module, images):
    """Weights `(B, K, N)` of every output for every input by the Jacobian, and biases `(K,)`."""
    with torch.no_grad():
        biases = module(torch.zeros_like(images[:1])).flatten()
    jacobian = torch.autograd.functional.jacobian(lambda some: module(some).flatten(1), images[:1])
    return jacobian.flatten(2).reshape(len(biases), -1), biases


def share_slowly(name, weights, biases, x, relevance, numbers, bounds, looks_at):
    """Share the relevance of one example, unit by unit and term by term."""
    inputs, of_biases, lost = torch.zeros_like(x), 0.0, 0.0
    for k, amount in enumerate(relevance):
        bias = biases[k] * (not numbers.spread_biases)
        terms = torch.cat([weights[k] * x, bias[None]])
        if name == "w_squared":
            terms = torch.cat([weights[k] ** 2, bias[None] * 0])
        if name == "flat":
            terms = torch.cat([looks_at[k], bias[None] * 0])
        if name == "box":
            low, high = bounds
            least = weights[k].clamp(min=0) * low + weights[k].clamp(max=0) * high
            terms = torch.cat([weights[k] * x - least, bias[None] * 0])
        parts = [(1.0, terms)]
        if name == "z_plus":
            parts = [(1.0, terms.clamp(min=0))]
        if name == "alpha_beta":
            parts = [(numbers.alpha, terms.clamp(min=0)), (-numbers.beta, terms.clamp(max=0))]
        if name == "gamma":
            favoured = terms.clamp(min=0) if terms.sum() >= 0 else terms.clamp(max=0)
            parts = [(1.0, terms + numbers.gamma * favoured)]
        for factor, some in parts:
            whole = some.sum()
            away = 0 if name in ("w_squared", "flat") else numbers.epsilon
            whole = whole + (away if whole >= 0 else -away)
            shares = factor * amount * (some / whole if whole != 0 else 0 * some)
            inputs, of_biases = inputs + shares[:-1], of_biases + shares[-1]
            amount_left = -shares.sum()
            lost = lost + amount_left
        lost = lost + amount
    return inputs, of_biases, lost


@pytest.mark.parametrize("spread_biases", [False, True])
@pytest.mark.parametrize("name", [*RULES, "box"])
def test_a_rule_shares_as_its_definition_says(rng, name, spread_biases):
    numbers = Numbers(0.3, 1.7, 0.7, 0.4, spread_biases)
    for module, shape in layers(rng):
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        layer = read(module, x)
        relevance = torch.randn(layer.z.shape, generator=rng, dtype=torch.float64)
        with torch.no_grad():
            ones = type(module).__new__(type(module))
            ones.__dict__ = {**module.__dict__, "_parameters": dict(module._parameters)}
            ones._parameters["weight"] = nn.Parameter(torch.ones_like(module.weight))
        low, high = x - 0.5, x + 1
        with torch.no_grad():
            found = (
                box(layer, relevance, numbers, Box(low, high))
                if name == "box"
                else RULES[name](layer, relevance, numbers)
            )
        weights, biases = find_terms(module, x)
        looks_at = (find_terms(ones, x)[0] != 0).double()
        for row in range(len(x)):
            bounds = low[row].flatten(), high[row].flatten()
            amounts = relevance[row].flatten()
            inputs, of_biases, lost = share_slowly(
                name, weights, biases, x[row].flatten(), amounts, numbers, bounds, looks_at
            )
            assert_close(found.inputs[row].flatten(), inputs, **EXACT)
            told = 0.0 if found.biases is None else found.biases[row].sum()
            assert_close(float(told), float(of_biases), **EXACT)
            assert_close(float(found.lost[row].sum()), float(lost), **EXACT)


def network(rng, *, norm_epsilon=1e-5):
    torch.manual_seed(5)
    layers = [
        nn.Conv2d(2, 5, 3),
        nn.BatchNorm2d(5, eps=norm_epsilon),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 2 * 3, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    ]
    return randomise(nn.Sequential(*layers), rng).double().eval()


def use_zennit(composite, network, images, target, *, one=False):
    with composite.context(network) as changed:
        leaf = images.clone().requires_grad_()
        out = changed(leaf)
        seed = torch.zeros_like(out)
        seed[:, target] = 1 if one else out[:, target].detach()
        return torch.autograd.grad(out, leaf, seed)[0]


COMPOSITES = {
    "epsilon_plus": (EpsilonPlus, (False, True)),
    "epsilon_alpha2_beta1": (EpsilonAlpha2Beta1, (False, True)),
    "epsilon_plus_flat": (EpsilonPlusFlat, (False, True)),
    "epsilon_alpha2_beta1_flat": (EpsilonAlpha2Beta1Flat, (False, True)),
    "epsilon_gamma_box": (EpsilonGammaBox, (False,)),
}
"""Those of zennit, and whether biases are spread where both agree."""


@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_those_of_zennit(rng, name):
    """Zennit leaves the epsilon of a norm that it merges, and so divides by its root once more."""
    model = network(rng, norm_epsilon=0.0)
    images = torch.rand(2, 2, 10, 14, generator=rng, dtype=torch.float64)
    theirs, biases = COMPOSITES[name]
    box = {"low": 0 * images, "high": 0 * images + 1} if name == "epsilon_gamma_box" else {}
    # there is a stabiliser in the flat rule of zennit, and none in ours
    epsilon = 1e-30 if name.endswith("flat") else 1e-3
    for spread in biases:
        options = box | {"epsilon": epsilon, "stabilizer": epsilon}
        options |= {"zero_params": "bias" if spread else None}
        composite = theirs(**options, canonizers=[SequentialMergeBatchNorm()])
        found = whence.attribute(
            model, images, "lrp", 1, composite=name, spread_biases=spread, epsilon=epsilon
        )
        expected = use_zennit(composite, model, images, 1)
        assert_close(found.images, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))
        assert float(expected.abs().max()) > 1e-3


def test_what_zennit_makes_of_a_norm_is_off_by_the_epsilon_that_it_keeps(rng):
    images = torch.rand(2, 2, 10, 14, generator=rng, dtype=torch.float64)
    model = network(rng, norm_epsilon=1e-2)
    composite = EpsilonPlus(canonizers=[SequentialMergeBatchNorm()])
    with composite.context(model) as changed, torch.no_grad():
        theirs = changed(images)
    gap = float((theirs - model(images).detach()).abs().max())
    assert gap > 1e-4  # it is another network
    with torch.no_grad():
        model[1].running_var += model[1].eps
        model[1].eps = 0.0
    with composite.context(model) as changed:
        assert_close(changed(images), model(images), **EXACT)


def test_with_spread_biases_gamma_goes_by_the_sum_without_its_bias_where_zennit_goes_by_all():
    """Terms 2 and -3 and a bias of 2: the unit is 1, the sum that is shared is -1."""
    layer = nn.Linear(2, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, -3.0]]))
        layer.bias.fill_(2.0)
    x, one = torch.ones(1, 2, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    numbers = Numbers(epsilon=0.0, gamma=1.0, spread_biases=True)
    with torch.no_grad():
        found = RULES["gamma"](read(layer, x), one, numbers).inputs
    # of -1 and once more what is below 0: 2 / -4 and -6 / -4
    assert_close(found, torch.tensor([[-0.5, 1.5]]).double(), **EXACT)
    leaf, rule = x.clone().requires_grad_(), Gamma(1.0, 1e-30, zero_params="bias")
    rule.register(layer)
    (theirs,) = torch.autograd.grad(layer(leaf), leaf, one)
    # of -1 and once more what is above 0: 4 / 1 and -3 / 1
    assert_close(theirs, torch.tensor([[4.0, -3.0]]).double(), **EXACT)


def test_numbers_that_no_rule_can_be_told_are_refused(rng):
    model, images = network(rng), torch.rand(2, 2, 10, 14, dtype=torch.float64)
    for options, message in (
        ({"epsilon": -1.0}, r"epsilon must be at least 0, got -1.0"),
        ({"alpha": 2.0, "beta": 0.5}, r"alpha minus beta must be 1, got 2.0 and 0.5"),
        ({"low": 1.0, "high": 0.0}, r"low must be below high, got 1.0 and 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            whence.attribute(model, images, "lrp", 1, **options)
