"""GoogLeNet for small images.

Szegedy et al. (2015), arXiv:1409.4842, changed for 32x32 images as in La Rosa et al. (2021),
arXiv:2106.01440: a 3x3 stem, batch normalisation after every convolution, two 3x3 convolutions in
place of each 5x5, and no auxiliary classifiers.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def googlenet(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build GoogLeNet without its classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 1024)`.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            pre_layers=nn.Sequential(*convolution(channels, 192, 3)),
            a3=Inception(192, 64, (96, 128), (16, 32), 32),
            b3=Inception(256, 128, (128, 192), (32, 96), 64),
            pool3=nn.MaxPool2d(3, stride=2, padding=1),
            a4=Inception(480, 192, (96, 208), (16, 48), 64),
            b4=Inception(512, 160, (112, 224), (24, 64), 64),
            c4=Inception(512, 128, (128, 256), (24, 64), 64),
            d4=Inception(512, 112, (144, 288), (32, 64), 64),
            e4=Inception(528, 256, (160, 320), (32, 128), 128),
            pool4=nn.MaxPool2d(3, stride=2, padding=1),
            a5=Inception(832, 256, (160, 320), (32, 128), 128),
            b5=Inception(832, 384, (192, 384), (48, 128), 128),
            pool5=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )


def convolution(width_in: int, width: int, kernel: int) -> list[nn.Module]:
    """List a convolution that keeps the size, its normalisation and its ReLU."""
    return [
        nn.Conv2d(width_in, width, kernel, padding=kernel // 2),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, 5x5 (as two 3x3), and a max pool."""

    def __init__(
        self, width: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int
    ) -> None:
        super().__init__()
        self.b1 = nn.Sequential(*convolution(width, one, 1))
        self.b2 = nn.Sequential(*convolution(width, three[0], 1), *convolution(*three, 3))
        self.b3 = nn.Sequential(
            *convolution(width, five[0], 1),
            *convolution(*five, 3),
            *convolution(five[1], five[1], 3),
        )
        self.b4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *convolution(width, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, one + three[1] + five[1] + pool, H, W)`."""
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], dim=1)
