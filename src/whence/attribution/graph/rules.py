"""Rules of layer-wise relevance propagation, on one layer with weights.

Bach et al. (2015), 10.1371/journal.pone.0130140, equations 58 (epsilon) and 60 (alpha and beta);
Montavon et al. (2017), 10.1016/j.patcog.2016.11.008 (z+, box, w squared); Montavon et al. (2019),
10.1007/978-3-030-28954-6_10 (gamma); Lapuschkin et al. (2019), 10.1038/s41467-019-08987-4 (flat).

A bias is an input worth 1. What a layer gets is what it passes on to its input, what its biases
take, and what is lost because there was nothing, or almost nothing, to divide by.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.graph.affine import Affine


@dataclass(frozen=True)
class Numbers:
    """What rules may be told.

    Attributes:
        epsilon: what is added to a denominator, with its sign.
        alpha: how much of what speaks for a unit counts.
        beta: how much of what speaks against it counts; alpha minus 1.
        gamma: by how much what has the sign of a unit counts more.
        spread_biases: leave biases out, so that inputs take their share in proportion.
    """

    epsilon: float = 1e-6
    alpha: float = 2.0
    beta: float = 1.0
    gamma: float = 0.25
    spread_biases: bool = False


class Shares(NamedTuple):
    """Where the relevance of a layer's outputs went."""

    inputs: Tensor  # in the shape of its input
    biases: Tensor | None  # in the shape of its output; None: nothing
    lost: Tensor  # in the shape of its output


class Box(NamedTuple):
    """The least and the largest that each number of a layer's input can be."""

    low: Tensor
    high: Tensor


def divide_away(relevance: Tensor, by: Tensor, epsilon: float) -> Tensor:
    """Divide by a number that is moved away from zero; 0 where it is zero, which is no negative."""
    if epsilon == 0:
        return torch.where(by == 0, 0, relevance / by)
    return relevance / torch.where(by < 0, by - epsilon, by + epsilon)


def lose(relevance: Tensor, whole: Tensor, per_unit: Tensor) -> Tensor:
    """Compute what is not given away where each unit of ``whole`` gets ``per_unit``."""
    return torch.addcmul(relevance, whole, per_unit, value=-1)


def epsilon(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Share by what each input adds to the sum."""
    bias = layer.bias
    spread = bias is not None and numbers.spread_biases
    z = layer.z - bias if spread and bias is not None else layer.z
    c = divide_away(relevance, z, numbers.epsilon)
    inputs = layer.slot.value * layer.backward(c, layer.weight)
    return Shares(inputs, None if bias is None or spread else bias * c, lose(relevance, z, c))


class Signs:
    """The positive and the negative terms of a layer's sums, by the sign of weight times input."""

    def __init__(self, layer: Affine, numbers: Numbers) -> None:
        self.layer = layer
        x, bias = layer.slot.value, None if numbers.spread_biases else layer.bias
        self.bias = bias
        self.inputs = [x.clamp(min=0), x.clamp(max=0)] if bool((x < 0).any()) else [x]
        self.weights = layer.weight.clamp(min=0), layer.weight.clamp(max=0)

    def total(self, sign: int) -> Tensor:
        """Sum the terms of a sign, 0 for positive and 1 for negative, biases among them."""
        parts = [
            self.layer.forward(x, self.weights[sign ^ negative])
            for negative, x in enumerate(self.inputs)
        ]
        bias = self.clamp_bias(sign)
        return sum(parts[1:], parts[0]) if bias is None else sum(parts, bias)

    def clamp_bias(self, sign: int) -> Tensor | None:
        """Keep the biases of a sign."""
        if self.bias is None:
            return None
        return self.bias.clamp(max=0) if sign else self.bias.clamp(min=0)

    def share(self, c: Tensor, sign: int) -> Tensor:
        """Give every input its terms of a sign, times ``c`` of the unit that they are a part of."""
        parts = [
            x * self.layer.backward(c, self.weights[sign ^ negative])
            for negative, x in enumerate(self.inputs)
        ]
        return sum(parts[1:], parts[0])

    def share_bias(self, c: Tensor, sign: int) -> Tensor | None:
        """Give biases of a sign what ``c`` says."""
        bias = self.clamp_bias(sign)
        return None if bias is None else bias * c


def z_plus(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Share by the positive terms alone."""
    signs = Signs(layer, numbers)
    z = signs.total(0)
    c = divide_away(relevance, z, numbers.epsilon)
    return Shares(signs.share(c, 0), signs.share_bias(c, 0), lose(relevance, z, c))


def alpha_beta(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Share alpha times the relevance by positive terms, take beta times it by negative ones."""
    signs = Signs(layer, numbers)
    totals = signs.total(0), signs.total(1)
    factors = numbers.alpha, -numbers.beta
    c = [
        divide_away(factor * relevance, z, numbers.epsilon)
        for factor, z in zip(factors, totals, strict=True)
    ]
    inputs = signs.share(c[0], 0) + signs.share(c[1], 1)
    biases = signs.share_bias(c[0], 0)
    taken = signs.share_bias(c[1], 1)
    lost = lose(lose(relevance, totals[0], c[0]), totals[1], c[1])
    return Shares(inputs, None if biases is None or taken is None else biases + taken, lost)


def gamma(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Share by all terms, of which those with the sign of the sum count more.

    For sums above 0 of inputs above 0 this is the rule of the paper; a sum below 0 is treated as
    its mirror image, so that no denominator is smaller than the sum.
    """
    signs = Signs(layer, numbers)
    bias = signs.bias
    z = layer.z if bias is not None or layer.bias is None else layer.z - layer.bias
    positive = signs.total(0)
    favoured = torch.where(z < 0, z - positive, positive)
    whole = torch.add(z, favoured, alpha=numbers.gamma)
    c = divide_away(relevance, whole, numbers.epsilon)
    inputs = layer.slot.value * layer.backward(c, layer.weight)
    biases = None if bias is None else bias * c
    for sign, chosen in enumerate((z >= 0, z < 0)):
        more = numbers.gamma * torch.where(chosen, c, 0)
        inputs = inputs + signs.share(more, sign)
        of_bias = signs.share_bias(more, sign)
        biases = None if biases is None or of_bias is None else biases + of_bias
    return Shares(inputs, biases, lose(relevance, whole, c))


def w_squared(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Share by the squares of the weights, whatever the input is."""
    return share_by(layer, relevance, layer.weight.square(), numbers)


def flat(layer: Affine, relevance: Tensor, numbers: Numbers) -> Shares:
    """Give every input that a unit looks at the same."""
    return share_by(layer, relevance, torch.ones_like(layer.weight), numbers)


def share_by(layer: Affine, relevance: Tensor, weight: Tensor, numbers: Numbers) -> Shares:
    """Share by weights that are never negative; the input and the biases do not count."""
    z = layer.forward(torch.ones_like(layer.slot.value), weight)
    c = divide_away(relevance, z, 0)
    return Shares(layer.backward(c, weight), None, lose(relevance, z, c))


def box(layer: Affine, relevance: Tensor, numbers: Numbers, bounds: Box) -> Shares:
    """Share by how far each term is from the least that it can be; biases do not count."""
    low, high = bounds
    x, weight = layer.slot.value, layer.weight
    positive, negative = weight.clamp(min=0), weight.clamp(max=0)
    z = layer.forward(x, weight)
    z = z - layer.forward(low, positive) - layer.forward(high, negative)
    c = divide_away(relevance, z, numbers.epsilon)
    inputs = x * layer.backward(c, weight) - low * layer.backward(c, positive)
    inputs = inputs - high * layer.backward(c, negative)
    return Shares(inputs, None, lose(relevance, z, c))


LayerRule = Callable[[Affine, Tensor, Numbers], Shares]

RULES = MappingProxyType[str, LayerRule](
    {
        "epsilon": epsilon,
        "alpha_beta": alpha_beta,
        "z_plus": z_plus,
        "gamma": gamma,
        "w_squared": w_squared,
        "flat": flat,
    }
)
"""Rules that need to know nothing but the layer."""

BOX = "box"
"""The rule that needs to know what an input can be: one for the first layers."""

OF_INPUTS = (BOX, "w_squared", "flat")
"""Rules that no bias takes part in; a number alone, as in normalisation, passes everything on."""
