"""Where the path of a heatmap starts: an image that shows nothing, or nothing in particular."""

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
"""Every baseline by name: `(B, C, H, W)` floats in [0, 1] to the same shape."""
