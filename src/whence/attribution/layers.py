"""What a layer of a network gives out while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from whence.attribution.score import Score
from whence.messages import quote


@contextmanager
def listening(layers: dict[str, nn.Module]) -> Iterator[list[tuple[str, Tensor]]]:
    """Note every tensor that layers give out, in the order in which they finish.

    A copy goes on, so that what is noted is not overwritten in place.

    Args:
        layers: by name, of a network that is of this thread alone, as ``make_twin`` makes one.

    Yields:
        Names and tensors, as a list that grows.
    """
    heard: list[tuple[str, Tensor]] = []

    def hear(name: str, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        heard.append((name, output))
        return output.clone()

    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: hear(name, output))
        for name, layer in layers.items()
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def find_layer(score: Score, images: Tensor, name: str | None) -> tuple[str, nn.Module]:
    """Find a layer by name, or the last one that gives out maps `(n, c, h, w)` of several places.

    Args:
        score: of B images; its network is looked at.
        images: `(B, C, H, W)` in its precision; one of them goes through the network.
        name: as in ``named_modules``; None for the last.

    Raises:
        ValueError: if the score has no network, or there is no such layer.
    """
    if score.network is None:
        raise ValueError(
            "grad_cam needs a network with layers, and this score is a plain function of images."
        )
    layers = {one: layer for one, layer in score.network.named_modules() if one}
    if name is not None:
        if name not in layers:
            known = ", ".join(list(layers)[-5:])
            raise ValueError(f"Unknown layer {quote(name)}. The network's last are: {known}.")
        return name, layers[name]
    with listening(layers) as heard:
        score.take(torch.zeros(1, dtype=torch.int64))(images[:1])
    spatial = [one for one, output in heard if is_map(output)]
    if not spatial:
        raise ValueError(
            "grad_cam needs a layer that gives out maps (n, c, h, w) of several places, "
            "and the network has none."
        )
    return spatial[-1], layers[spatial[-1]]


def is_map(output: Tensor) -> bool:
    """Say whether a tensor is a stack of maps `(n, c, h, w)` of several places."""
    return output.dim() == 4 and output.shape[2] * output.shape[3] > 1
