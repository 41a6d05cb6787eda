"""A deconvolutional network of two layers, learned one after the other (Zeiler et al. 2010)."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.studies.deconvolutional.sparse import (
    CONTINUATION,
    Continuation,
    infer_maps,
    project_up,
    solve_conjugate,
    synthesise,
)

FILTER_STEPS = 4
"""Gradient steps of the filters in an epoch, each as long as is best."""

ALTERNATIONS = 2
"""Turns between the image and the maps below, when maps of the second layer are found."""

FLAT_SIDE = 5
"""Pixels of a side of the constant filter of the smooth map."""


class DeconvolutionalLayer(NamedTuple):
    """Filters `(K, C, h, h)`, which maps they connect `(K, C)`, and the fidelity (lambda)."""

    filters: Tensor
    connected: Tensor
    fidelity: float


def connect_maps(above: int, below: int, each: int, generator: torch.Generator) -> Tensor:
    """Choose at random which maps below each map above connects to; `(above, below)` of 0 and 1."""
    order = torch.rand(above, below, generator=generator).argsort(1)
    connected = torch.zeros(above, below)
    return connected.scatter(1, order[:, : min(each, below)], 1.0)


def learn_layer(
    below: Tensor,
    connected: Tensor,
    side: int,
    *,
    fidelity: float,
    epochs: int,
    generator: torch.Generator,
) -> DeconvolutionalLayer:
    """Learn filters of a layer: infer all maps, then move the filters downhill, in turn.

    Zeiler et al. (2010), algorithm 1; filters keep length 1, without which they would grow and
    their maps shrink.

    Args:
        below: images, or maps of the layer below, `(N, C, H, W)`.
        connected: `(K, C)`, which of these each filter reads.
        side: pixels of a side of the filters.
        fidelity: lambda, what an error counts beside the penalty.
        epochs: how often.
        generator: of the filters at the start.
    """
    shape = (*connected.shape, side, side)
    filters = normalise_filters(torch.randn(shape, generator=generator), connected)
    count, _, height, width = below.shape
    maps = torch.zeros(count, len(connected), height + side - 1, width + side - 1)
    for _ in range(epochs):
        maps = infer_layer(DeconvolutionalLayer(filters, connected, fidelity), below, maps)
        filters = improve_filters(filters, connected, maps, below)
        idle = (maps.flatten(2).abs().sum((0, 2)) == 0).nonzero().flatten()
        if len(idle):  # a filter that nothing uses starts anew
            fresh = torch.randn((len(idle), *shape[1:]), generator=generator)
            filters[idle] = normalise_filters(fresh, connected[idle])
    return DeconvolutionalLayer(filters, connected, fidelity)


def normalise_filters(filters: Tensor, connected: Tensor) -> Tensor:
    """Bring filters to length 1, and to 0 where they are not connected."""
    kept = filters * connected[:, :, None, None]
    lengths: Tensor = kept.flatten(1).norm(dim=1)
    return kept / lengths.clamp_min(1e-12)[:, None, None, None]


def improve_filters(filters: Tensor, connected: Tensor, maps: Tensor, below: Tensor) -> Tensor:
    """Take steps down the slope of the error by the filters (Zeiler et al. 2010, equation 9).

    The error is quadratic in the filters, so that the best length of a step is known.
    """
    for _ in range(FILTER_STEPS):
        leaf = filters.clone().requires_grad_()
        with torch.enable_grad():
            error = (synthesise(maps, leaf) - below).square().sum() / 2
            (slope,) = torch.autograd.grad(error, leaf)
        slope = slope * connected[:, :, None, None]
        along = synthesise(maps, slope).square().sum()
        if float(along) > 0:
            filters = filters - slope.square().sum() / along * slope
    return normalise_filters(filters, connected)


def infer_layer(
    layer: DeconvolutionalLayer, below: Tensor, start: Tensor, plan: Continuation = CONTINUATION
) -> Tensor:
    """Infer maps `(N, K, ...)` of a layer from what is below it, `(N, C, H, W)`."""
    return infer_maps(
        lambda maps: synthesise(maps, layer.filters),
        lambda values: project_up(values, layer.filters),
        below,
        start,
        layer.fidelity,
        plan,
    )


def start_maps(layer: DeconvolutionalLayer, below: Tensor) -> Tensor:
    """Make maps of a layer, all 0."""
    side = layer.filters.shape[2] - 1
    count, _, height, width = below.shape
    return torch.zeros(count, len(layer.filters), height + side, width + side)


def infer_second(
    first: DeconvolutionalLayer,
    second: DeconvolutionalLayer,
    images: Tensor,
    first_maps: Tensor,
    plan: Continuation = CONTINUATION,
    *,
    turns: int = ALTERNATIONS,
) -> Tensor:
    """Infer maps of the second layer: in turn from the image and from the maps below.

    Zeiler et al. (2010), section 3 on reconstruction, equations 10 and 11.
    """
    maps = infer_layer(second, first_maps, start_maps(second, first_maps), plan)
    for _ in range(turns):
        maps = infer_maps(
            lambda values: rebuild_image(first, second, values),
            lambda values: project_up(project_up(values, first.filters), second.filters),
            images,
            maps,
            second.fidelity,
            plan,
        )
        maps = infer_layer(second, first_maps, maps, plan)
    return maps


def rebuild_image(
    first: DeconvolutionalLayer, second: DeconvolutionalLayer, maps: Tensor
) -> Tensor:
    """Project maps of the second layer down to the image."""
    return synthesise(synthesise(maps, second.filters), first.filters)


def find_smooth(images: Tensor, weight: float, iterations: int = 30) -> Tensor:
    """Find what a smooth map, convolved with a constant filter, explains of images.

    Zeiler et al. (2010): a map z0 per channel with weight / 2 |gradient of z0|^2 in the place of
    sparsity takes the low frequencies, so that raw images can be coded by filters of edges. Here it
    is found first, and the filters code what is left.

    Args:
        images: `(N, C, H, W)`.
        weight: of the prior; the larger, the smoother.
        iterations: of conjugate gradients.

    Returns:
        The smooth part of the images.
    """
    channels = images.flatten(0, 1)[:, None]
    flat = torch.full((1, 1, FLAT_SIDE, FLAT_SIDE), 1 / FLAT_SIDE**2)

    def apply(maps: Tensor) -> Tensor:
        return project_up(synthesise(maps, flat), flat) + weight * roughen(maps)

    seen = project_up(channels, flat)
    maps = solve_conjugate(apply, seen, torch.zeros_like(seen), iterations)
    return synthesise(maps, flat).reshape(images.shape)


def roughen(maps: Tensor) -> Tensor:
    """Apply the matrix of |gradient|^2 / 2, differences of neighbours; `(N, C, H, W)`."""
    down, across = maps.diff(dim=2), maps.diff(dim=3)
    found = torch.zeros_like(maps)
    found[:, :, 1:] += down
    found[:, :, :-1] -= down
    found[..., 1:] += across
    found[..., :-1] -= across
    return found
