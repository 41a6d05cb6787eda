"""Train layers one above the other: as Boltzmann machines, or to take noise away."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from whence.studies.deep_belief.sigmoid_layer import SigmoidLayer, flip_units, start_layer


class LayerRecipe(NamedTuple):
    """How each layer is trained.

    Attributes:
        epochs: over all images.
        batch: images of a step.
        boltzmann_rate: of contrastive divergence.
        denoising_rate: of gradient descent on the reconstruction.
        kept: probability that noise leaves a pixel.
    """

    epochs: int
    batch: int
    boltzmann_rate: float = 0.1
    denoising_rate: float = 0.1
    kept: float = 0.5


LayerStep = Callable[[SigmoidLayer, Tensor, LayerRecipe, torch.Generator], SigmoidLayer]


def step_boltzmann(
    layer: SigmoidLayer, values: Tensor, recipe: LayerRecipe, generator: torch.Generator
) -> SigmoidLayer:
    """Take one step of contrastive divergence with one turn of Gibbs sampling.

    Hinton (2002): what goes with what in the data, less what goes with what after one turn. Units
    above are drawn, those below are probabilities, or means where they are Gaussian.

    Args:
        layer: as it is.
        values: `(B, V)` in [0, 1].
        recipe: with the rate.
        generator: of the units.
    """
    first = layer.lift(values)
    below = layer.lower(flip_units(first, generator=generator))
    second = layer.lift(below)
    rate = recipe.boltzmann_rate / len(values)
    return SigmoidLayer(
        layer.weights + rate * (first.T @ values - second.T @ below),
        layer.above + rate * (first - second).sum(0),
        layer.below + rate * (values - below).sum(0),
        layer.gaussian,
    )


def step_denoising(
    layer: SigmoidLayer, values: Tensor, recipe: LayerRecipe, generator: torch.Generator
) -> SigmoidLayer:
    """Take one step of gradient descent towards what the values were before noise.

    Vincent et al. (2008), as on the slides: x^ = sigmoid(c + W^T sigmoid(b + W C(x))), where C
    leaves each value or makes it 0, and the loss is the cross-entropy of x and x^, added over
    values and averaged over images; where values are Gaussian, half the squared error of x and x^
    without the last sigmoid, whose gradient is the same. It is written out.

    Args:
        layer: as it is.
        values: `(B, V)` in [0, 1].
        recipe: with rate and noise.
        generator: of the noise.
    """
    noisy = values * flip_units(torch.full_like(values, recipe.kept), generator=generator)
    units = layer.lift(noisy)  # (B, H)
    away = layer.lower(units) - values  # (B, V) slope by the inputs of the last sigmoid
    back = (away @ layer.weights.T) * units * (1 - units)  # (B, H)
    rate = recipe.denoising_rate / len(values)
    return SigmoidLayer(
        layer.weights - rate * (units.T @ away + back.T @ noisy),
        layer.above - rate * back.sum(0),
        layer.below - rate * away.sum(0),
        layer.gaussian,
    )


DEEP_KINDS: Mapping[str, LayerStep] = MappingProxyType(
    {"DBN": step_boltzmann, "SDAE": step_denoising}
)
"""Deep belief nets and stacked denoising autoencoders, by the step that trains a layer."""


def slow_down_rates(recipe: LayerRecipe) -> LayerRecipe:
    """Take a tenth of both rates."""
    return recipe._replace(
        boltzmann_rate=recipe.boltzmann_rate / 10, denoising_rate=recipe.denoising_rate / 10
    )


def train_layers(
    kind: str,
    images: Tensor,
    widths: Sequence[int],
    recipe: LayerRecipe,
    *,
    gaussian: bool = False,
    generator: torch.Generator,
) -> list[SigmoidLayer]:
    """Train layers greedily, each on the probabilities of the units of the one before.

    Args:
        kind: in ``DEEP_KINDS``.
        images: `(N, V)` in [0, 1], or Gaussian.
        widths: units of each layer.
        recipe: of each layer; the first learns more slowly from Gaussian values, which have no
            bound.
        gaussian: the images are.
        generator: on the CPU.
    """
    layers: list[SigmoidLayer] = []
    values = images
    for units in widths:
        first = gaussian and not layers
        layer = start_layer(values.shape[1], units, gaussian=first, generator=generator)
        own = slow_down_rates(recipe) if first else recipe
        for _ in range(recipe.epochs):
            order = torch.randperm(len(values), generator=generator)
            for places in order.split(recipe.batch):
                layer = DEEP_KINDS[kind](layer, values[places], own, generator)
        layers.append(layer)
        values = layer.lift(values)
    return layers
