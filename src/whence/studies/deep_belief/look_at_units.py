"""Train one network, and look at units of each of its layers in every way that it has."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.studies.deep_belief.show_units import (
    GibbsPlan,
    agree,
    combine_filters,
    correlate_pictures,
    maximise_units,
    sample_clamped,
)
from whence.studies.deep_belief.sigmoid_layer import SigmoidLayer
from whence.studies.deep_belief.train_layers import LayerRecipe, train_layers

STARTS = 9
"""Random starts of each unit, as published."""

DIGITS_KEPT = 3
"""Of the pixels of pictures that are kept."""


class BeliefSize(NamedTuple):
    """How much is done.

    Attributes:
        images: that are trained on; None is all.
        widths: units of each layer.
        epochs: of each layer.
        batch: images of a step.
        units: that are looked at, of each layer.
        shown: of these, in the figures.
        steps: of the maximisation, at most.
        chains, samples, between: of the sampling.
    """

    images: int | None
    widths: tuple[int, ...]
    epochs: int
    batch: int
    units: int
    shown: int
    steps: int
    chains: int
    samples: int
    between: int


def lay_flat(images: ImageSet) -> Tensor:
    """Bring images to rows of grey pixels in [0, 1] on a dark ground, `(N, H W)`.

    Where most of all pixels are light, light and dark are exchanged.
    """
    grey = to_float(images.images).mean(1).flatten(1)
    return 1 - grey if float(grey.mean()) > 0.5 else grey


def look_at_network(
    kind: str, pixels: Tensor, size: BeliefSize, seed: int, *, gaussian: bool = False
) -> dict[str, Any]:
    """Train a network and look at units of each layer; what JSON can hold.

    Args:
        kind: in ``DEEP_KINDS``.
        pixels: `(N, V)` in [0, 1], or Gaussian.
        size: how much is done.
        seed: of the training, the units and the starts.
        gaussian: the pixels are.
    """
    generator = make_generator(seed)
    recipe = LayerRecipe(size.epochs, size.batch)
    layers = train_layers(kind, pixels, size.widths, recipe, gaussian=gaussian, generator=generator)
    found = []
    for depth in range(1, len(layers) + 1):
        count = min(size.units, size.widths[depth - 1])
        units = torch.randperm(size.widths[depth - 1], generator=generator)[:count].tolist()
        found.append(look_at_last_layer(kind, layers[:depth], units, pixels, size, generator))
    return {"layers": found, "error": give_back(layers, pixels)}


def give_back(layers: Sequence[SigmoidLayer], pixels: Tensor) -> float:
    """Average how far pixels are off once they went up and down again."""
    values = pixels
    for layer in layers:
        values = layer.lift(values)
    for layer in reversed(layers):
        values = layer.lower(values)
    return float((values - pixels).abs().mean())


def look_at_last_layer(
    kind: str,
    layers: Sequence[SigmoidLayer],
    units: Sequence[int],
    pixels: Tensor,
    size: BeliefSize,
    generator: torch.Generator,
) -> dict[str, Any]:
    """Maximise, combine and sample units of the last of the layers.

    Args:
        kind: in ``DEEP_KINDS``; a deep belief net alone can be sampled.
        layers: from the pixels up.
        units: U of the last layer.
        pixels: `(N, V)`, whose mean length inputs get.
        size: how much is done.
        generator: on the CPU.
    """
    norm = float(pixels.norm(dim=1).mean())
    inputs = maximise_units(
        layers, units, norm, starts=STARTS, steps=size.steps, generator=generator
    )
    middle = inputs.mean(1)  # (U, V)
    combined = combine_filters(layers, units)
    others = ~torch.eye(len(units), dtype=torch.bool)
    found = {
        "agreement": agree(inputs).tolist(),
        "between_units": float(correlate_pictures(middle, middle)[others].mean()),
        "combined": correlate_pictures(middle, combined).diagonal().tolist(),
        "maximisers": shorten_pictures(inputs[: size.shown]),
        "combinations": shorten_pictures(combined[: size.shown]),
    }
    if kind == "DBN":
        plan = GibbsPlan(size.chains, size.samples, size.between)
        samples = sample_clamped(layers, units, plan, generator=generator)
        means = samples.mean(1)  # (U, V)
        likeness = correlate_pictures(means, middle)  # (U, U)
        special = correlate_pictures(means - means.mean(0), middle - middle.mean(0))
        found |= {
            "own": likeness.diagonal().tolist(),
            "other": [
                float(row[place].mean()) for row, place in zip(likeness, others, strict=True)
            ],
            "special": special.diagonal().tolist(),
            "means": shorten_pictures(means[: size.shown]),
            "samples": shorten_pictures(samples[: size.shown, :STARTS]),
        }
    return found


def shorten_pictures(pictures: Tensor) -> Any:
    """Round pictures, so that files stay small."""
    return (pictures * 10**DIGITS_KEPT).round().div(10**DIGITS_KEPT).tolist()
