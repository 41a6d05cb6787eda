"""MobileNet-v2 for small images.

Sandler et al. (2018), arXiv:1801.04381, changed for 32x32 images as in La Rosa et al. (2021),
arXiv:2106.01440: a stem of stride 1, one stride fewer in the stages, ReLU instead of ReLU6, and a
1x1 convolution as shortcut where the stride is 1 and the widths differ.
"""

from collections import OrderedDict

from torch import Tensor, nn

STAGES = (  # expansion, width, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build MobileNet-v2 without its classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 1280)`.
    """
    blocks, width = [], 32
    for expansion, wider, count, stride in STAGES:
        for index in range(count):
            blocks.append(Block(width, wider, expansion, stride if index == 0 else 1))
            width = wider
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(channels, 32, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(32),
            relu1=nn.ReLU(inplace=True),
            layers=nn.Sequential(*blocks),
            conv2=nn.Conv2d(width, 1280, 1, bias=False),
            bn2=nn.BatchNorm2d(1280),
            relu2=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )


class Block(nn.Module):
    """Expand, filter each channel, project; add the input where the stride is 1."""

    def __init__(self, width_in: int, width: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * width_in
        self.conv1 = nn.Conv2d(width_in, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(wide, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module | None = nn.Identity() if stride == 1 else None
        if stride == 1 and width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, width, H / stride, W / stride)`."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        projected: Tensor = out if self.shortcut is None else out + self.shortcut(x)
        return projected
