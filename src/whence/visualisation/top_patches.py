"""The patches of images that activate a unit most, and what in them does so."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whence.attribution.classifier_score import score_classifier
from whence.attribution.method import find_method
from whence.attribution.score import FunctionScore
from whence.memory.votes import Votes
from whence.models.classifier import Classifier
from whence.seeds import make_generator
from whence.visualisation.unit import Unit, activate_units, find_mask, read_layer

PROBES = 4
"""Images of noise that show which pixels a place in a layer depends on."""

PROJECTION = "deconvnet"
"""The attribution method that projects an activation down to the pixels, as in the paper."""


class Peak(NamedTuple):
    """Where a unit is most active in an image: the image's number, how much, and its place there.

    Row and column are -1 where the unit looks at the whole image.
    """

    image: int
    activation: float
    row: int
    column: int


class PixelBox(NamedTuple):
    """A part of an image, ends not included."""

    top: int
    left: int
    bottom: int
    right: int


def find_peaks(
    model: Classifier,
    encoder: nn.Module,
    unit: Unit,
    images: Tensor,
    *,
    count: int = 9,
    batch_size: int,
) -> list[Peak]:
    """Find the images that activate a unit most, each once, at its strongest place.

    Zeiler and Fergus (2014), arXiv:1311.2901, section 4, figure 2.

    Args:
        model: whose unit it is, in eval mode.
        encoder: the model's, or an earlier one of the same layers.
        unit: a channel is looked at in every place.
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        count: how many.
        batch_size: images at once.

    Returns:
        The most active first; of equal ones the first.
    """
    parts = [rate_images(model, encoder, unit, part) for part in images.split(batch_size)]
    values, rows, columns = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    order = values.argsort(descending=True, stable=True)[:count].tolist()
    return [
        Peak(place, float(values[place]), int(rows[place]), int(columns[place])) for place in order
    ]


def rate_images(
    model: Classifier, encoder: nn.Module, unit: Unit, images: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the strongest activation in each image, and its row and column, `(B,)`."""
    with torch.no_grad():
        inputs = model.normalise(images)
        if unit.kind in ("channel", "neuron"):
            values = read_layer(encoder, unit.layer, inputs)[:, unit.place[0]]  # (B, h, w) or (B,)
            if values.dim() == 3:
                return find_strongest_place(values, unit)
        else:
            mask = find_mask(model, unit, images)
            values = activate_units(model, [unit] * len(inputs), inputs, mask)
    nowhere = torch.full(values.shape, -1, device=values.device)
    return values, nowhere, nowhere


def find_strongest_place(values: Tensor, unit: Unit) -> tuple[Tensor, Tensor, Tensor]:
    """Find the largest of values `(B, h, w)`, or that of a neuron, with rows and columns."""
    width = values.shape[2]
    if unit.kind == "neuron":
        _, row, column = unit.place
        chosen, place = values[:, row, column], torch.full((len(values),), row * width + column)
        place = place.to(values.device)
    else:
        chosen, place = values.flatten(1).max(1)
    return chosen, place // width, place % width


def find_field(model: Classifier, encoder: nn.Module, unit: Unit, peak: Peak) -> PixelBox:
    """Find the pixels that a place in a layer depends on: where the slope of noise is not 0."""
    height, width = model.image_shape[1:]
    if peak.row < 0:
        return PixelBox(0, 0, height, width)
    noise = torch.randn((PROBES, *model.image_shape), generator=make_generator(0))
    leaf = noise.to(model.mean).requires_grad_()
    with torch.enable_grad():
        values = read_layer(encoder, unit.layer, leaf)[:, :, peak.row, peak.column]
        weights = torch.randn(values.shape[1], generator=make_generator(1)).to(values)
        (slope,) = torch.autograd.grad((values @ weights).sum(), leaf)
    touched = slope.ne(0).any(dim=0).any(dim=0)  # (H, W)
    down, across = touched.any(1).nonzero().flatten(), touched.any(0).nonzero().flatten()
    if len(down) == 0:
        return PixelBox(0, 0, height, width)
    return PixelBox(int(down[0]), int(across[0]), int(down[-1]) + 1, int(across[-1]) + 1)


def project_peaks(
    model: Classifier,
    encoder: nn.Module,
    unit: Unit,
    images: Tensor,
    peaks: list[Peak],
    *,
    batch_size: int,
) -> Tensor:
    """Project the activations at peaks down to the pixels of their images.

    Args:
        model: whose unit it is.
        encoder: the model's, or an earlier one.
        unit: that was looked at.
        images: `(n, C, H, W)` of the peaks.
        peaks: n of them.
        batch_size: images at once.

    Returns:
        `(n, C, H, W)`: what in the pixels does it, by ``PROJECTION``, signed.
    """
    project = find_method(PROJECTION)
    if unit.kind in ("logit", "probability"):
        target = choose_target(model, unit)
        of_class = score_classifier(model, images, target, batch_size=batch_size)
        return project(of_class, images).images.cpu()
    pixels = images.to(model.mean.device)
    pixels = (pixels / 255 if pixels.dtype == torch.uint8 else pixels).to(model.mean.dtype)
    places = torch.tensor([(peak.row, peak.column) for peak in peaks], device=pixels.device)

    def activation(variants: Tensor, rows: Tensor) -> Tensor:
        inputs = (variants - model.mean) / model.std
        if unit.kind == "layer":
            return activate_units(model, [unit] * len(inputs), inputs)
        values = read_layer(encoder, unit.layer, inputs)[:, unit.place[0]]
        if values.dim() == 1:
            return values
        row, column = places[rows.to(places.device)].T
        return values[torch.arange(len(values), device=values.device), row, column]

    return project(FunctionScore(activation, batch_size), pixels).images.cpu()


def choose_target(model: Classifier, unit: Unit) -> int | Callable[[Tensor], Tensor]:
    """Choose what of the logits a class unit is; of votes both are the weight of the class."""
    (one,) = unit.place
    if unit.kind == "logit" or isinstance(model.head, Votes):
        return one
    return lambda logits: logits.softmax(1)[:, one]
