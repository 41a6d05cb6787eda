"""Adaptive deconvolutional networks: layers with switches, each of which rebuilds the image."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.studies.deconvolutional.sparse import (
    project_up,
    shrink_linearly,
    solve_conjugate,
    synthesise,
)

POOLED_SIDE, POOLED_MAPS = 2, 2
"""Places of a side, and neighbouring maps, of which one number is kept."""


class AdaptiveLayer(NamedTuple):
    """A layer.

    Attributes:
        filters: `(K, C, h, h)`, C maps of the pooled layer below.
        fidelity: lambda, what an error of the image counts beside the sum of the maps.
        steps: of the inference (ISTA).
        switched: pooling keeps the largest number and where it was; else it takes means.
    """

    filters: Tensor
    fidelity: float
    steps: int
    switched: bool


class CodedImages(NamedTuple):
    """What a layer makes of images: maps, what is left of them by pooling, and the switches."""

    maps: Tensor  # (N, K, H, W), what unpooling gives
    pooled: Tensor  # (N, K', H', W')
    switches: Tensor  # (N, K', H', W', P) of 0 and 1, or all 1 / P


def cut_neighbourhoods(maps: Tensor) -> Tensor:
    """Cut maps `(N, K, H, W)` into neighbourhoods `(N, K / 2, H / 2, W / 2, 8)`."""
    count, channels, height, width = maps.shape
    cut = maps.reshape(
        count,
        *(channels // POOLED_MAPS, POOLED_MAPS),
        *(height // POOLED_SIDE, POOLED_SIDE),
        *(width // POOLED_SIDE, POOLED_SIDE),
    )
    found: Tensor = cut.permute(0, 1, 3, 5, 2, 4, 6).flatten(4)
    return found


def join_neighbourhoods(cut: Tensor) -> Tensor:
    """Put neighbourhoods together again; the inverse of ``cut_neighbourhoods``."""
    count, channels, height, width, _ = cut.shape
    parts = cut.unflatten(4, (POOLED_MAPS, POOLED_SIDE, POOLED_SIDE))
    laid = parts.permute(0, 1, 4, 2, 5, 3, 6)
    found: Tensor = laid.reshape(
        count, channels * POOLED_MAPS, height * POOLED_SIDE, width * POOLED_SIDE
    )
    return found


def find_switches(maps: Tensor, switched: bool) -> Tensor:
    """Mark the number of each neighbourhood that is furthest from 0, whatever its sign.

    Zeiler et al. (2011), section 2.1, "3D" pooling: over places and over neighbouring maps.

    Returns:
        `(N, K', H', W', P)`; 1 / sqrt(P) everywhere without switches, so that pooling is a mean up
        to a factor and unpooling is its transpose.
    """
    cut = cut_neighbourhoods(maps)
    if not switched:
        return torch.full_like(cut, cut.shape[4] ** -0.5)
    return F.one_hot(cut.abs().argmax(4), cut.shape[4]).to(maps.dtype)


def pool_maps(maps: Tensor, switches: Tensor) -> Tensor:
    """Keep what the switches mark (P); linear for given switches."""
    return (cut_neighbourhoods(maps) * switches).sum(4)


def unpool_maps(pooled: Tensor, switches: Tensor) -> Tensor:
    """Put pooled numbers where the switches say (U), the transpose of pooling."""
    return join_neighbourhoods(pooled[..., None] * switches)


def rebuild_input(
    layers: Sequence[AdaptiveLayer], switches: Sequence[Tensor], maps: Tensor
) -> Tensor:
    """Project maps of the last layer down to the image: R = F1 U1 F2 U2 ... Fl.

    Args:
        layers: from the first to that of the maps.
        switches: of the layers below it.
        maps: `(N, K, H, W)`.
    """
    values = synthesise(maps, layers[-1].filters)
    for layer, marks in zip(layers[-2::-1], switches[::-1], strict=True):
        values = synthesise(unpool_maps(values, marks), layer.filters)
    return values


def go_up(layers: Sequence[AdaptiveLayer], switches: Sequence[Tensor], images: Tensor) -> Tensor:
    """Project images up to maps of the last layer, the transpose of ``rebuild_input``."""
    values = images
    for layer, marks in zip(layers[:-1], switches, strict=True):
        values = pool_maps(project_up(values, layer.filters), marks)
    return project_up(values, layers[-1].filters)


def infer_adaptive(
    layers: Sequence[AdaptiveLayer],
    switches: Sequence[Tensor],
    images: Tensor,
    start: Tensor | None = None,
) -> CodedImages:
    """Infer maps of the last layer from the image itself, with ISTA.

    Zeiler et al. (2011), algorithm 1, lines 5 to 13: a step down the slope of the error of the
    image, shrinkage, pooling and unpooling, which sets the switches anew. The step is 1 over the
    largest eigenvalue, so that no step size must be chosen by hand.

    Args:
        layers: from the first to the one that is inferred.
        switches: of the layers below it.
        images: `(N, C, H, W)`.
        start: maps; None for 0.
    """
    last = layers[-1]
    maps = torch.zeros_like(go_up(layers, switches, images)) if start is None else start
    step = 1 / find_step_bound(layers, switches, maps)
    marks = find_switches(maps, last.switched)
    for _ in range(last.steps):
        error = rebuild_input(layers, switches, maps) - images
        maps = maps - step * go_up(layers, switches, error)
        maps = shrink_linearly(maps, step / last.fidelity)
        marks = find_switches(maps, last.switched)
        maps = unpool_maps(pool_maps(maps, marks), marks)
    return CodedImages(maps, pool_maps(maps, marks), marks)


def find_step_bound(
    layers: Sequence[AdaptiveLayer], switches: Sequence[Tensor], maps: Tensor
) -> float:
    """Find the largest eigenvalue of R'R over the images by powers, with a margin."""
    values = torch.ones_like(maps)
    values[:, ::2, ::2] = -1  # not constant, which filters of edges do not see
    size = 1.0
    for _ in range(12):
        values = values / values.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        values = go_up(layers, switches, rebuild_input(layers, switches, values))
        size = float(values.flatten(1).norm(dim=1).max())
    return 1.1 * max(size, 1e-6)


def learn_adaptive(
    images: Tensor,
    maps: Sequence[int],
    sides: Sequence[int],
    fidelities: Sequence[float],
    *,
    epochs: int,
    steps: int,
    switched: bool,
    generator: torch.Generator,
) -> list[AdaptiveLayer]:
    """Learn all layers, from the first to the last (Zeiler et al. 2011, algorithm 1).

    Args:
        images: `(N, C, H, W)`, whose sides let every layer be pooled.
        maps: K of each layer, even numbers.
        sides: pixels of a side of the filters of each.
        fidelities: lambda of each.
        epochs: inference and filters in turn, so often.
        steps: of ISTA in an epoch.
        switched: pooling with switches, or means.
        generator: of the filters at the start.
    """
    layers: list[AdaptiveLayer] = []
    switches: list[Tensor] = []
    channels = images.shape[1]
    for count, side, fidelity in zip(maps, sides, fidelities, strict=True):
        shape = (count, channels, side, side)
        filters = bring_to_length(torch.randn(shape, generator=generator))
        coded: CodedImages | None = None
        for _ in range(epochs):
            trial = [*layers, AdaptiveLayer(filters, fidelity, steps, switched)]
            start = None if coded is None else coded.maps
            coded = infer_adaptive(trial, switches, images, start)
            filters = fit_filters(layers, switches, coded.maps, images, filters)
        layers.append(AdaptiveLayer(filters, fidelity, steps, switched))
        switches.append(infer_adaptive(layers, switches, images).switches)
        channels = count // POOLED_MAPS
    return layers


FILTER_ITERATIONS, FILTER_RIDGE = 5, 1e-3
"""Of conjugate gradients for the filters, and what holds those that no map uses."""


def fit_filters(
    below: Sequence[AdaptiveLayer],
    switches: Sequence[Tensor],
    maps: Tensor,
    images: Tensor,
    filters: Tensor,
) -> Tensor:
    """Fit filters to the images by conjugate gradients (Zeiler et al. 2011, equation 8).

    Args:
        below: the layers below.
        switches: of these.
        maps: `(N, K, H, W)` of the layer.
        images: `(N, C, H, W)`.
        filters: `(K, C', h, h)` to start from.

    Returns:
        Filters of length 1.
    """

    def make(some: Tensor) -> Tensor:
        layer = AdaptiveLayer(some, 1.0, 0, True)
        return rebuild_input([*below, layer], switches, maps)

    def turn(values: Tensor) -> Tensor:
        leaf = torch.zeros_like(filters).requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad((make(leaf) * values).sum(), leaf)
        return found

    def apply(some: Tensor) -> Tensor:
        return turn(make(some[0]))[None] + FILTER_RIDGE * some

    right = turn(images)[None] + FILTER_RIDGE * filters[None]
    return bring_to_length(solve_conjugate(apply, right, filters[None], FILTER_ITERATIONS)[0])


def bring_to_length(filters: Tensor) -> Tensor:
    """Bring filters `(K, C, h, h)` to length 1."""
    lengths: Tensor = filters.flatten(1).norm(dim=1)
    return filters / lengths.clamp_min(1e-12)[:, None, None, None]


def code_layers(layers: Sequence[AdaptiveLayer], images: Tensor) -> list[CodedImages]:
    """Infer all layers of images, from the first to the last."""
    found: list[CodedImages] = []
    for number in range(1, len(layers) + 1):
        switches = [one.switches for one in found]
        found.append(infer_adaptive(layers[:number], switches, images))
    return found
