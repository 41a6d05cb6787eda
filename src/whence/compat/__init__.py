"""The authors' names: their two layers, their checkpoints and their ``train.yaml``.

The names are imported when they are first used, so that reading a ``train.yaml`` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.compat.checkpoints import load_authors_checkpoint
    from whence.compat.layers import BaselineMemory, MemoryWrapLayer

PLACES = {
    "BaselineMemory": "whence.compat.layers",
    "MemoryWrapLayer": "whence.compat.layers",
    "load_authors_checkpoint": "whence.compat.checkpoints",
}

__all__ = ["BaselineMemory", "MemoryWrapLayer", "load_authors_checkpoint"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'whence.compat' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
