"""Eval mode: what answers are computed in, and what is never switched on behind a user's back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from whence.messages import quote


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch gradients off for a network that must be in eval mode.

    The mode is the user's: other threads may be using the same network, so nothing here changes it.

    Raises:
        RuntimeError: if the network or one of its layers is in training mode.
    """
    check_mode(module)
    with torch.no_grad():
        yield


def check_mode(module: nn.Module) -> None:
    """Refuse a network that is in training mode, or has a layer that is.

    Raises:
        RuntimeError: naming the first such layer.
        TypeError: if it is no network.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"model must be a network, such as whence.load(RUN) returns, got {quote(module)}."
        )
    trained = next((name for name, part in module.named_modules() if part.training), None)
    if trained is None:
        return
    what = f", its layer {trained} is in training mode" if trained else ""
    raise RuntimeError(
        f"The {type(module).__name__} must be in eval mode to answer{what}; call .eval() first."
    )
