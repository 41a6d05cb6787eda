"""Features from the middle of an encoder: the means of what some of its layers give."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from whence.encoders import ALL_DEPTHS, OUTPUT
from whence.encoders.count_features import probing
from whence.messages import quote
from whence.seeds import make_generator

Place = TypeVar("Place")

WATCHING = threading.RLock()
"""Layers are listened to by one thread at a time."""

NAMED_LAYERS = 30
"""Names of layers in a message, at most."""

FEW_DEPTHS, EVEN_DEPTHS, MOST_DEPTHS = 3, 6, 12
"""Depths that are enough, how many are taken of blocks all alike, and at most."""


class AtLayers(nn.Module):
    """Give the means of what some layers of a network make of an image, one behind the other.

    Of maps `(B, C, H, W)` the mean over the image, of tokens `(B, N, C)` that over the tokens; of
    square images maps `(B, H, W, C)` are known by their sides.

    Args:
        network: maps `(B, C, H, W)` to `(B, D)`.
        layers: names of its modules, each once, or "output".

    Raises:
        ValueError: if the network has no such module, or one is named twice.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        if isinstance(layers, str):
            raise ValueError(f"layers must be a list of names, got the text {quote(layers)}.")
        self.network = network
        self.layers = tuple(layers)
        known = {OUTPUT, *(name for name, _ in network.named_modules() if name)}
        unknown = [name for name in self.layers if name not in known]
        if unknown:
            raise ValueError(f"Unknown layer {quote(unknown[0])} of the encoder.")
        if not self.layers or len(set(self.layers)) < len(self.layers):
            raise ValueError(
                f"layers must name one layer or more, each once, got {quote(','.join(layers))}."
            )

    def forward(self, images: Tensor) -> Tensor:
        """Encode images `(B, C, H, W)` to `(B, D)`."""
        found = watch_layers(self.network, images, [one for one in self.layers if one != OUTPUT])
        return torch.cat([pool(found[name], images) for name in self.layers], 1)


def network_of(encoder: nn.Module) -> nn.Module:
    """Return the network whose layers give the features; the encoder itself if its output does."""
    return encoder.network if isinstance(encoder, AtLayers) else encoder


def watch_layers(network: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Run a network and keep what some of its layers give, and its output.

    Raises:
        ValueError: if a layer runs never or twice, or gives no tensor of numbers for each image.
    """
    last, found = observe(network, images, layers)
    kept = {OUTPUT: last}
    for name in layers:
        outputs = found.get(name, [])
        given = outputs[0] if len(outputs) == 1 else None
        if not isinstance(given, Tensor) or not is_pooled(given, images.shape[0]):
            raise ValueError(
                f"Layer {name} of the encoder must run once and give numbers (B, C, H, W), "
                "(B, N, C) or (B, C); choose another."
            )
        kept[name] = given
    return kept


def observe(
    network: nn.Module, images: Tensor, layers: Sequence[str]
) -> tuple[Tensor, dict[str, list[object]]]:
    """Run a network; returns its output, and all that each layer gave, in the order it ran."""
    found: dict[str, list[object]] = {}

    def keep(name: str, module: nn.Module, inputs: object, output: object) -> None:
        found.setdefault(name, []).append(output)

    with WATCHING:
        parts = {name: network.get_submodule(name) for name in layers}
        hooks = [part.register_forward_hook(partial(keep, name)) for name, part in parts.items()]
        try:
            last: Tensor = network(images)
        finally:
            for hook in hooks:
                hook.remove()
    return last, found


def is_pooled(given: Tensor, count: int) -> bool:
    """Say whether a tensor holds numbers for each of so many images that ``pool`` can average."""
    return given.ndim in (2, 3, 4) and given.shape[0] == count and given.is_floating_point()


def pool(given: Tensor, images: Tensor) -> Tensor:
    """Average what a layer made of images over their places, `(B, D)`."""
    if given.ndim == 4:
        square = images.shape[2] == images.shape[3]
        channels_last = square and given.shape[1] == given.shape[2] != given.shape[3]
        return given.mean((1, 2) if channels_last else (2, 3))
    return given.mean(1) if given.ndim == 3 else given


def take_layers(
    network: nn.Module, layers: Sequence[str], image_shape: tuple[int, int, int]
) -> AtLayers:
    """Let a network give features of some layers, or of all depths, once it is seen that it can.

    Raises:
        ValueError: if it has no such layer, listing some that it has.
    """
    if tuple(layers) == (ALL_DEPTHS,):
        return AtLayers(network, [*list_depths(network, image_shape), OUTPUT])
    try:
        found = AtLayers(network, layers)
        with probing(network, image_shape) as images:
            watch_layers(network, images, [one for one in layers if one != OUTPUT])
    except ValueError as error:
        names = [*list_depths(network, image_shape), OUTPUT]
        shown = ", ".join(names[:NAMED_LAYERS]) + (", ..." if len(names) > NAMED_LAYERS else "")
        raise ValueError(f"{error} There are {shown}.") from error
    return found


def list_depths(network: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """List depths of a network at which features can be taken: its blocks, from first to last.

    Of blocks whose maps are of one shape the last is taken; of networks whose blocks are all alike,
    or of very many shapes, some in equal distances.

    Returns:
        How many features each gives, by its name; the output is not among them.
    """
    blocks = list_blocks(network)
    with probing(network, image_shape) as black:
        # black images leave nothing in which an untrained layer and the output could differ
        images = torch.rand(black.shape, generator=make_generator(0)).to(black)
        last, found = observe(network, images, list(blocks))
        pooled = {
            name: (tuple(outputs[0].shape), pool(outputs[0], images))
            for name, outputs in found.items()
            if len(outputs) == 1
            and isinstance(outputs[0], Tensor)
            and outputs[0].ndim > 2
            and is_pooled(outputs[0], images.shape[0])
        }
    if sum(blocks[name] for name in pooled) >= FEW_DEPTHS:  # single layers are of less use
        pooled = {name: one for name, one in pooled.items() if blocks[name]}
    names = list(pooled)
    shapes = [shape for shape, _ in pooled.values()]
    ends = [k for k in range(len(names)) if shapes[k : k + 1] != shapes[k + 1 : k + 2]]
    if len(ends) < FEW_DEPTHS:
        ends = spread_evenly(range(len(names)), EVEN_DEPTHS)
    kept = [names[k] for k in ends if not is_same(pooled[names[k]][1], last)]
    return {name: pooled[name][1].shape[1] for name in spread_evenly(kept, MOST_DEPTHS)}


def count_by_layer(encoder: AtLayers, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Count the features that each layer gives, in their order."""
    with probing(encoder, image_shape) as images:
        found = watch_layers(encoder.network, images, [x for x in encoder.layers if x != OUTPUT])
        return {name: pool(found[name], images).shape[1] for name in encoder.layers}


def spread_evenly(places: Sequence[Place], most: int) -> list[Place]:
    """Take so many of some places at most, in equal distances, the first and last among them.

    >>> spread_evenly([0, 1, 2, 3, 9], 3), spread_evenly([4, 5], 3)
    ([0, 2, 9], [4, 5])
    """
    steps = torch.linspace(0, len(places) - 1, min(most, len(places))).round().int().tolist()
    return [places[step] for step in steps]


def is_same(given: Tensor, output: Tensor) -> bool:
    """Say whether features are the output of a network, but for rounding."""
    return given.shape == output.shape and torch.allclose(given, output, rtol=1e-3, atol=1e-5)


def list_blocks(network: nn.Module, start: str = "") -> dict[str, bool]:
    """Name the blocks of a network: the members of its sequences, and its other parts.

    A part with more than half of all parameters is looked into.

    Returns:
        Whether each has parts of its own, by its name.
    """
    whole, found = count_learned(network), dict[str, bool]()
    for name, part in network.named_children():
        full, parts = f"{start}{name}", list(part.named_children())
        if isinstance(part, nn.Sequential | nn.ModuleList):
            found |= {f"{full}.{one}": bool(list(inner.children())) for one, inner in parts}
        elif parts and count_learned(part) * 2 > whole:
            found |= list_blocks(part, f"{full}.")
        else:
            found[full] = bool(parts)
    return found


def count_learned(network: nn.Module) -> int:
    """Count the numbers that a network learned."""
    return sum(parameter.numel() for parameter in network.parameters())
