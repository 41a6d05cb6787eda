"""A small convolutional network that trains in seconds on a CPU."""

from torch import nn


def small_cnn(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build four convolutions of 32, 64, 128 and 128 channels, then a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 128)`.
    """
    layers: list[nn.Module] = []
    for width_in, width in [(channels, 32), (32, 64), (64, 128), (128, 128)]:
        layers += [
            nn.Conv2d(width_in, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if width < 128 or width_in < 128:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
