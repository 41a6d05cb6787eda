"""Semantic morphing: the code of an image, and paths between codes."""

from whence.table import Table

HERE = "whence.morphing"

PATHS = Table(
    "path",
    {
        "radial": f"{HERE}.interpolate:radial",
        "linear": f"{HERE}.interpolate:linear",
    },
)
"""Every way from one code to another, called as ``PATHS[name](start, end, steps=100)``."""

__all__ = ["PATHS"]
