"""Where a path to an image starts: at an image that shows nothing, or nothing in particular."""

from collections.abc import Mapping
from types import MappingProxyType

from whence.table import Table

BASELINES = Table(
    "baseline",
    {
        "white": "whence.attribution.baseline_images:white",
        "black": "whence.attribution.baseline_images:black",
        "mean": "whence.attribution.baseline_images:mean",
        "blur": "whence.attribution.baseline_images:blur",
    },
)
"""Every baseline by name: `(B, C, H, W)` floats to the same shape."""

IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "white": "white images",
        "black": "black images",
        "mean": "images of their own mean colour",
        "blur": "blurred images",
    }
)
"""Every baseline as a reader is told of it."""

COLOURS = ("white", "black")
"""The baselines that mean something only where values run from 0 to 1."""
