"""ShuffleNet-v2 0.5x for small images.

Ma et al. (2018), arXiv:1807.11164, changed for 32x32 images as in La Rosa et al. (2021),
arXiv:2106.01440: a 3x3 stem of stride 1 and no max pool.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def shufflenet_v2(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build ShuffleNet-v2 0.5x without its classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 1024)`.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(channels, 24, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(24),
            relu1=nn.ReLU(inplace=True),
            layer1=stage(24, 48, 3),
            layer2=stage(48, 96, 7),
            layer3=stage(96, 192, 3),
            conv2=nn.Conv2d(192, 1024, 1, bias=False),
            bn2=nn.BatchNorm2d(1024),
            relu2=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )


def stage(width_in: int, width: int, basic: int) -> nn.Sequential:
    """Build one block that halves the size, then ``basic`` blocks that keep it."""
    return nn.Sequential(DownBlock(width_in, width), *(BasicBlock(width) for _ in range(basic)))


def shuffle(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels of `(B, C, H, W)`."""
    return torch.unflatten(x, 1, (2, -1)).transpose(1, 2).flatten(1, 2)


class BasicBlock(nn.Module):
    """Keep one half of the channels, transform the other, shuffle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(half, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape."""
        kept, out = x.chunk(2, dim=1)
        out = self.relu1(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        out = self.relu3(self.bn3(self.conv3(out)))
        return shuffle(torch.cat([kept, out], dim=1))


class DownBlock(nn.Module):
    """Transform all channels in two branches of stride 2, shuffle."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(width_in, width_in, 3, 2, padding=1, groups=width_in, bias=False)
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv2 = nn.Conv2d(width_in, half, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width_in, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv4 = nn.Conv2d(half, half, 3, 2, padding=1, groups=half, bias=False)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = nn.Conv2d(half, half, 1, bias=False)
        self.bn5 = nn.BatchNorm2d(half)
        self.relu5 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, width, H / 2, W / 2)`."""
        left = self.bn1(self.conv1(x))
        left = self.relu2(self.bn2(self.conv2(left)))
        right = self.relu3(self.bn3(self.conv3(x)))
        right = self.bn4(self.conv4(right))
        right = self.relu5(self.bn5(self.conv5(right)))
        return shuffle(torch.cat([left, right], dim=1))
