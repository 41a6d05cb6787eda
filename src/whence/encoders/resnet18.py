"""ResNet18 for small images.

He et al. (2016), arXiv:1512.03385, changed for 32x32 images as in La Rosa et al. (2021),
arXiv:2106.01440: a 3x3 stem of stride 1 and no max pool.
"""

from collections import OrderedDict

from torch import Tensor, nn


def resnet18(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build ResNet18 without its classifier; convolutions start from N(0, 2 / (k k out)).

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 512)`.
    """
    encoder = nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(channels, 64, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(inplace=True),
            layer1=nn.Sequential(Block(64, 64, 1), Block(64, 64, 1)),
            layer2=nn.Sequential(Block(64, 128, 2), Block(128, 128, 1)),
            layer3=nn.Sequential(Block(128, 256, 2), Block(256, 256, 1)),
            layer4=nn.Sequential(Block(256, 512, 2), Block(512, 512, 1)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return encoder


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, ReLU after the sum."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, width, H / stride, W / stride)`."""
        out = self.relu1(self.bn1(self.conv1(x)))
        summed: Tensor = self.relu2(self.bn2(self.conv2(out)) + self.shortcut(x))
        return summed
