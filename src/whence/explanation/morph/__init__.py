"""Semantic morphing: generators of images, the code of an image, and paths between codes."""

from whence.table import Table

HERE = "whence.explanation.morph"

MOST_CODES = 1 << 16
"""Numbers that a code may have."""

VAES = Table(
    "vae",
    {
        "residual": f"{HERE}.residual:residual",
        "thesis_mnist": f"{HERE}.thesis_mnist:thesis_mnist",
        "thesis_fashion_mnist": f"{HERE}.thesis_fashion_mnist:thesis_fashion_mnist",
        "thesis_cifar10": f"{HERE}.thesis_cifar10:thesis_cifar10",
    },
)
"""Every variational autoencoder by name, called as ``VAES[name]((C, H, W))``; the first is ours."""

PATHS = Table(
    "path",
    {
        "radial": f"{HERE}.interpolate:radial",
        "linear": f"{HERE}.interpolate:linear",
    },
)
"""Every way from one code to another, called as ``PATHS[name](start, end, steps=100)``."""

__all__ = ["MOST_CODES", "PATHS", "VAES"]
