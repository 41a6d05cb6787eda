"""One layer of sigmoid units that works both ways, as both kinds of networks are made of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class SigmoidLayer(NamedTuple):
    """Weights that units above share with those below.

    Units below are sigmoid, too, or Gaussian with a deviation of 1 (``gaussian``), as pixels of
    natural images need them.
    """

    weights: Tensor  # (H, V)
    above: Tensor  # (H,) biases of the units above
    below: Tensor  # (V,) biases of the units below
    gaussian: bool = False  # units below

    def rise(self, values: Tensor) -> Tensor:
        """Compute the inputs of the units above, before the sigmoid: `(B, V)` to `(B, H)`."""
        return values @ self.weights.T + self.above

    def lift(self, values: Tensor) -> Tensor:
        """Compute the probabilities of the units above: `(B, V)` to `(B, H)`."""
        return self.rise(values).sigmoid()

    def lower(self, units: Tensor) -> Tensor:
        """Compute probabilities, or means, of the units below: `(B, H)` to `(B, V)`."""
        inputs = units @ self.weights + self.below
        return inputs if self.gaussian else inputs.sigmoid()

    def draw_below(self, lowered: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw the units below by what ``lower`` gives."""
        if not self.gaussian:
            return flip_units(lowered, generator=generator)
        noise = torch.randn(lowered.shape, generator=generator, dtype=lowered.dtype)
        return lowered + noise


def start_layer(
    inputs: int, units: int, *, gaussian: bool = False, generator: torch.Generator
) -> SigmoidLayer:
    """Make a layer with small random weights and biases of 0."""
    weights = torch.randn(units, inputs, generator=generator) * 0.1 / inputs**0.25
    return SigmoidLayer(weights, torch.zeros(units), torch.zeros(inputs), gaussian)


def lift_through(layers: Sequence[SigmoidLayer], values: Tensor) -> Tensor:
    """Compute the probabilities of the units of the last layer."""
    for layer in layers:
        values = layer.lift(values)
    return values


def flip_units(probabilities: Tensor, *, generator: torch.Generator) -> Tensor:
    """Draw units that are 0 or 1, each with its probability."""
    chance = torch.rand(probabilities.shape, generator=generator, dtype=probabilities.dtype)
    return (chance < probabilities).to(probabilities.dtype)
