"""Three ways to see what a unit looks for: maximise it, sample with it on, combine filters."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.studies.deep_belief.sigmoid_layer import SigmoidLayer, flip_units, lift_through
from whence.visualisation.maximise import Regularisation, maximise


class GibbsPlan(NamedTuple):
    """How a unit's distribution is sampled.

    Attributes:
        chains: that start at random.
        samples: of each chain.
        between: turns before each sample, also the first.
    """

    chains: int
    samples: int
    between: int


def maximise_units(
    layers: Sequence[SigmoidLayer],
    units: Sequence[int],
    norm: float,
    *,
    starts: int,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Find inputs of a length that excite units of the last layer most, from several starts.

    Erhan et al. (2009), section 3.1: from uniform pixels, with the length brought to that of
    examples after every step. What rises is the unit's input, not its sigmoid, which has its
    largest values in the same places and no flat ones.

    Args:
        layers: from the pixels up to that of the units.
        units: U of the last layer.
        norm: length of the inputs.
        starts: S for each unit.
        steps: at most.
        generator: on the CPU, of the starts.

    Returns:
        `(U, S, V)`.
    """
    pixels = layers[0].weights.shape[1]
    start = torch.rand(len(units) * starts, pixels, generator=generator)
    start = start / start.norm(dim=1, keepdim=True) * norm
    asked = torch.tensor([*units]).repeat_interleave(starts)[:, None]

    def excite(inputs: Tensor) -> Tensor:
        return layers[-1].rise(lift_through(layers[:-1], inputs)).gather(1, asked).squeeze(1)

    found = maximise(excite, start, Regularisation(norm=norm), steps=steps, generator=generator)
    return found.inputs.detach().view(len(units), starts, pixels)


def sample_clamped(
    layers: Sequence[SigmoidLayer],
    units: Sequence[int | None],
    plan: GibbsPlan,
    *,
    generator: torch.Generator,
) -> Tensor:
    """Sample inputs of a deep belief net while a unit of its last layer is kept at 1.

    Erhan et al. (2009), section 3.2: turns of Gibbs sampling between the last two layers, then
    one way down through the others; the pixels are probabilities, or means where they are Gaussian.

    Args:
        layers: from the pixels up to that of the units.
        units: U of the last layer; None keeps none.
        plan: of the sampling.
        generator: on the CPU.

    Returns:
        `(U, chains * samples, V)`.
    """
    top = layers[-1]
    kept = torch.tensor([-1 if unit is None else unit for unit in units])
    on = torch.zeros(len(units), len(top.above), dtype=torch.bool)
    on[kept >= 0] = F.one_hot(kept[kept >= 0], len(top.above)).bool()
    on = on.repeat_interleave(plan.chains, 0)  # (U chains, H)
    below = flip_units(torch.full((len(on), len(top.below)), 0.5), generator=generator)
    found = []
    for _ in range(plan.samples):
        for _ in range(plan.between):
            above = flip_units(top.lift(below), generator=generator)
            above = torch.where(on, 1.0, above)
            lowered = top.lower(above)
            below = top.draw_below(lowered, generator=generator)
        seen, drawn = lowered, below
        for layer in reversed(layers[:-1]):
            seen = layer.lower(drawn)
            drawn = layer.draw_below(seen, generator=generator)
        found.append(seen.view(len(units), plan.chains, -1))
    return torch.cat(found, 1)


def combine_filters(layers: Sequence[SigmoidLayer], units: Sequence[int]) -> Tensor:
    """Add up the filters of the layers below, as the weights say, `(U, V)`.

    Lee, Ekanadham and Ng (2008): a picture of a unit that leaves the sigmoids out.
    """
    found = layers[-1].weights[[*units]]
    for layer in reversed(layers[:-1]):
        found = found @ layer.weights
    return found


def agree(inputs: Tensor) -> Tensor:
    """Average the cosines of each two of the inputs `(U, S, V)` of a unit, `(U,)`."""
    directions = F.normalize(inputs, dim=2)
    cosines = directions @ directions.transpose(1, 2)  # (U, S, S)
    starts = inputs.shape[1]
    return (cosines.sum((1, 2)) - starts) / (starts * (starts - 1))


def correlate_pictures(first: Tensor, second: Tensor) -> Tensor:
    """Correlate pictures `(U, V)` with each of others `(W, V)`, over their pixels, `(U, W)`."""
    one, other = (F.normalize(part - part.mean(1, keepdim=True), dim=1) for part in (first, second))
    return one @ other.T
