"""EfficientNet-B0 for small images.

Tan and Le (2019), arXiv:1905.11946, changed for 32x32 images as in La Rosa et al. (2021),
arXiv:2106.01440: a 3x3 stem of stride 1, smaller strides in the stages, and features taken straight
after stage 7, without the 1280-wide head. Drop-connect (Huang et al., 2016, arXiv:1603.09382) and
the dropout on the features are part of the encoder and act in training only.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = (  # expansion, width, blocks, kernel, stride of the first block
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
DROP = 0.2  # of the features; the blocks' drop-connect rises from 0 towards it


def efficientnet_b0(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build EfficientNet-B0 without its head and classifier, with a global average pool.

    Args:
        channels: C of the images.
        image_size: not needed by this network, which takes any size from 8 pixels up.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 320)`.
    """
    blocks: list[nn.Module] = []
    width, total = 32, sum(count for _, _, count, _, _ in STAGES)
    for expansion, wider, count, kernel, stride in STAGES:
        for index in range(count):
            step, drop = stride if index == 0 else 1, DROP * len(blocks) / total
            blocks.append(Block(width, wider, expansion, kernel, step, drop))
            width = wider
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(channels, 32, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(32),
            swish=nn.SiLU(inplace=True),
            layers=nn.Sequential(*blocks),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(DROP),
        )
    )


class Block(nn.Module):
    """Expand, filter each channel, weigh the channels, project; skip where shapes agree.

    With ``expansion`` 1 the expansion convolution is not used: it stays among the parameters
    because the authors' files hold it and the published parameter counts include it.
    """

    def __init__(
        self, width_in: int, width: int, expansion: int, kernel: int, stride: int, drop: float
    ) -> None:
        super().__init__()
        wide = expansion * width_in
        self.expands = expansion != 1
        self.skips = stride == 1 and width_in == width
        self.drop = drop
        self.conv1 = nn.Conv2d(width_in, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.swish1 = nn.SiLU(inplace=True)
        self.conv2 = nn.Conv2d(
            wide, wide, kernel, stride, padding=kernel // 2, groups=wide, bias=False
        )
        self.bn2 = nn.BatchNorm2d(wide)
        self.swish2 = nn.SiLU(inplace=True)
        self.se = squeeze_and_excitation(wide, width_in // 4)
        self.conv3 = nn.Conv2d(wide, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, width, H / stride, W / stride)`."""
        out = self.swish1(self.bn1(self.conv1(x))) if self.expands else x
        out = self.swish2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out * self.se(out)))
        skipped: Tensor = x + drop_connect(out, self.drop, self.training) if self.skips else out
        return skipped


def squeeze_and_excitation(width: int, narrow: int) -> nn.Sequential:
    """Build the gate of Hu et al. (2018), arXiv:1709.01507: `(B, C, H, W)` to `(B, C, 1, 1)`."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            mean=nn.AdaptiveAvgPool2d(1),
            se1=nn.Conv2d(width, narrow, 1),
            swish=nn.SiLU(inplace=True),
            se2=nn.Conv2d(narrow, width, 1),
            sigmoid=nn.Sigmoid(),
        )
    )


def drop_connect(branch: Tensor, rate: float, training: bool) -> Tensor:
    """Set the branch of a random share of the images to zero and scale the others up.

    Args:
        branch: `(B, C, H, W)`.
        rate: share of images to drop, in [0, 1).
        training: False changes nothing.
    """
    if not training or rate == 0:
        return branch
    kept = torch.ones(len(branch), 1, 1, 1, dtype=branch.dtype, device=branch.device)
    return branch * F.dropout(kept, rate)
