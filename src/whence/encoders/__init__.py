"""Encoders: networks that turn images `(B, C, H, W)` into features `(B, D)`."""

from whence.table import Table

ENCODERS = Table(
    "encoder",
    {
        "small_cnn": "whence.encoders.small_cnn:small_cnn",
        "mobilenet_v2": "whence.encoders.mobilenet_v2:mobilenet_v2",
        "efficientnet_b0": "whence.encoders.efficientnet_b0:efficientnet_b0",
        "resnet18": "whence.encoders.resnet18:resnet18",
        "googlenet": "whence.encoders.googlenet:googlenet",
        "densenet": "whence.encoders.densenet:densenet",
        "shufflenet_v2": "whence.encoders.shufflenet_v2:shufflenet_v2",
        "wide_resnet_28_10": "whence.encoders.wide_resnet_28_10:wide_resnet_28_10",
        "vit": "whence.encoders.vit:vit",
    },
)
"""Every encoder by name, called as ``ENCODERS[name](channels=3, image_size=32)``."""

__all__ = ["ENCODERS"]
