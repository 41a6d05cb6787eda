"""A small DenseNet for small images: growth 12, blocks of 6, 12, 24 and 16 layers.

Huang et al. (2017), arXiv:1608.06993, with bottlenecks of 4 x growth and transitions that halve
the width, changed for 32x32 images as in La Rosa et al. (2021), arXiv:2106.01440: a 3x3 stem of
stride 1 without a max pool. A layer puts its new features before its input.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

GROWTH = 12


def densenet(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build the DenseNet without its classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 384)`.
    """
    width = 2 * GROWTH
    parts = OrderedDict[str, nn.Module](conv1=nn.Conv2d(channels, width, 3, padding=1, bias=False))
    for number, layers in enumerate((6, 12, 24, 16), start=1):
        if number > 1:
            parts[f"trans{number - 1}"] = transition(width)
            width //= 2
        parts[f"dense{number}"] = nn.Sequential(*(Layer(width + GROWTH * i) for i in range(layers)))
        width += GROWTH * layers
    parts["bn"] = nn.BatchNorm2d(width)
    parts["relu"] = nn.ReLU(inplace=True)
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    return nn.Sequential(parts)


def transition(width: int) -> nn.Sequential:
    """Build what lies between two blocks: half the width, half the height and width in pixels."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            bn=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(width, width // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


class Layer(nn.Module):
    """Compute new features from all earlier ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(width, 4 * GROWTH, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * GROWTH)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C + 12, H, W)`."""
        out = self.conv1(self.relu1(self.bn1(x)))
        out = self.conv2(self.relu2(self.bn2(out)))
        return torch.cat([out, x], dim=1)
