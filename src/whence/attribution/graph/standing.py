"""Where in a network an operation stands, found only when it must be told."""

import inspect
from collections.abc import Callable
from typing import NoReturn

from torch import nn

WAY_OUT = "; gradient and integrated_gradients need no rule for it"


def refuse_operation(what: str, place: str) -> NoReturn:
    """Refuse what has no rule, with the layer that computes it.

    Raises:
        ValueError: naming both, and what to do.
    """
    raise ValueError(
        f"The network must consist of operations that have a rule, it has {what}{place}{WAY_OUT}."
    )


def name_operation(operation: Callable[..., object]) -> str:
    """Name an operation as PyTorch, or whence, calls it."""
    return str(getattr(operation, "__name__", operation))


def find_place() -> str:
    """Name the layer that is being computed in this thread, from the outermost module on."""
    modules: list[nn.Module] = []
    frame = inspect.currentframe()
    while frame is not None:
        one = frame.f_locals.get("self")
        if isinstance(one, nn.Module) and (not modules or modules[-1] is not one):
            modules.append(one)
        frame = frame.f_back
    if not modules:
        return ""
    innermost, outermost = modules[0], modules[-1]
    path = next((name for name, one in outermost.named_modules() if one is innermost), "")
    kind = type(innermost).__name__
    return f" in {path} ({kind})" if path else f" in {kind}"
