"""Semantic morphing: the code of an image, and paths between codes."""

from whence.table import Table

ROOM = "whence.morphing"

OTHERS = Table(
    "other",
    {
        "morph": f"{ROOM}.others:morphed",
        "nearest": f"{ROOM}.others:take_nearest",
        "memory": f"{ROOM}.from_memory:from_memory",
    },
)
"""Every choice of other by name, called as ``OTHERS[name](model, vae, asked, stored)``."""

PATHS = Table(
    "path",
    {
        "radial": f"{ROOM}.interpolate:radial",
        "linear": f"{ROOM}.interpolate:linear",
    },
)
"""Every way from one code to another, called as ``PATHS[name](start, end, steps=100)``."""

__all__ = ["OTHERS", "PATHS"]
