"""Variational autoencoders: images from codes."""

from whence.table import Table

HERE = "whence.autoencoders"

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

__all__ = ["VAES"]
