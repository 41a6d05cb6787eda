"""WideResNet 28-10 for small images.

Zagoruyko and Komodakis (2016), arXiv:1605.07146, with dropout 0.3 between the two convolutions of a
block and, as in the files of La Rosa et al. (2021), arXiv:2106.01440, the stride in the second one.
"""

from collections import OrderedDict

from torch import Tensor, nn


def wide_resnet_28_10(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build WideResNet 28-10 without its classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 640)`.
    """
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            layer1=group(16, 160, 1),
            layer2=group(160, 320, 2),
            layer3=group(320, 640, 2),
            classifier=nn.Sequential(  # the authors' name for what precedes the linear layer
                nn.BatchNorm2d(640, momentum=0.9),
                nn.ReLU(inplace=True),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            ),
        )
    )


def group(width_in: int, width: int, stride: int) -> nn.Sequential:
    """Build four blocks, the first of which has the stride."""
    return nn.Sequential(
        Block(width_in, width, stride), *(Block(width, width, 1) for _ in range(3))
    )


class Block(nn.Module):
    """Normalise and activate before each of two 3x3 convolutions; a shortcut without either."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(width_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(width_in, width, 3, padding=1, bias=False),
            nn.Dropout(0.3),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if width_in != width:
            self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, width, H / stride, W / stride)`."""
        summed: Tensor = self.residual(x) + self.shortcut(x)
        return summed
