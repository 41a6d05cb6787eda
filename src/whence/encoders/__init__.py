"""Encoders: networks that turn images `(B, C, H, W)` into features `(B, D)`."""

from whence.messages import quote
from whence.table import Table

ENCODERS = Table(
    "encoder",
    {
        "small_cnn": "whence.encoders.small_cnn:small_cnn",
        "small_vgg": "whence.encoders.small_vgg:small_vgg",
        "mobilenet_v2": "whence.encoders.mobilenet_v2:mobilenet_v2",
        "efficientnet_b0": "whence.encoders.efficientnet_b0:efficientnet_b0",
        "resnet18": "whence.encoders.resnet18:resnet18",
        "googlenet": "whence.encoders.googlenet:googlenet",
        "densenet": "whence.encoders.densenet:densenet",
        "shufflenet_v2": "whence.encoders.shufflenet_v2:shufflenet_v2",
        "wide_resnet_28_10": "whence.encoders.wide_resnet_28_10:wide_resnet_28_10",
        "vit": "whence.encoders.vit:vit",
        "bach_mnist": "whence.encoders.bach_mnist:bach_mnist",
        "thesis_mnist": "whence.encoders.thesis_mnist:thesis_mnist",
        "thesis_fashion_mnist": "whence.encoders.thesis_fashion_mnist:thesis_fashion_mnist",
        "thesis_cifar10": "whence.encoders.thesis_cifar10:thesis_cifar10",
    },
)
"""Every encoder by name, called as ``ENCODERS[name](channels=3, image_size=32)``."""

OUTPUT = "output"
"""In a list of layers, the encoder's own output."""

ALL_DEPTHS = "all"
"""Alone in a list of layers, all depths of the encoder and its output."""

FOREIGN = ("torchvision", "timm")
"""Libraries whose networks are named ``LIBRARY:NAME``."""


def check_encoder(name: str) -> None:
    """Refuse a name that no encoder can have; loads no torch, so ``LIBRARY:`` is all it checks.

    Raises:
        ValueError: naming the choices.
    """
    # The list, because asking the table itself would import the name's module.
    library, colon, _ = name.partition(":")
    if name not in list(ENCODERS) and not (colon and library in FOREIGN):
        raise ValueError(
            f"Unknown encoder {quote(name)}. Choose from: {', '.join(ENCODERS)}, "
            f"{', '.join(f'{one}:NAME' for one in FOREIGN)}."
        )


__all__ = ["ENCODERS", "FOREIGN", "check_encoder"]
