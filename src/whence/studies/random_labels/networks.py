"""The networks of the publication, by their appendix A: two MLPs, a small AlexNet, Inception."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from whence.studies.parts.plain_network import plain_layers

DROPPED_UNITS = 0.5
"""Share of the activations that dropout leaves out."""


def one_layer(
    image_shape: tuple[int, ...], classes: int, *, wide: float, normalise: bool, dropout: bool
) -> nn.Module:
    """Build the MLP 1x512; ``wide`` and ``normalise`` do not concern it."""
    return plain_layers(image_shape, classes, 1, dropped=DROPPED_UNITS if dropout else 0.0)


def three_layers(
    image_shape: tuple[int, ...], classes: int, *, wide: float, normalise: bool, dropout: bool
) -> nn.Module:
    """Build the MLP 3x512; ``wide`` and ``normalise`` do not concern it."""
    return plain_layers(image_shape, classes, 3, dropped=DROPPED_UNITS if dropout else 0.0)


def small_alexnet(
    image_shape: tuple[int, ...], classes: int, *, wide: float, normalise: bool, dropout: bool
) -> nn.Module:
    """Build two convolutions, each pooled and normalised by its neighbours, and two layers above.

    1,387,786 parameters for ten classes of 28 x 28 colour images, as published; dropout, which the
    publication does not have here, is behind the two layers. ``wide`` does not concern it.
    """
    channels, height, width = image_shape
    layers: list[nn.Module] = []
    for before in (channels, 64):
        layers += [
            nn.Conv2d(before, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.LocalResponseNorm(9, alpha=1e-3, beta=0.75),
        ]
        height, width = -(-height // 2), -(-width // 2)
    drop = [nn.Dropout(DROPPED_UNITS)] if dropout else []
    above = [nn.Flatten(), nn.Linear(64 * height * width, 384), nn.ReLU(), *drop]
    above += [nn.Linear(384, 192), nn.ReLU(), *drop, nn.Linear(192, classes)]
    return nn.Sequential(*layers, *above)


def small_inception(
    image_shape: tuple[int, ...], classes: int, *, wide: float, normalise: bool, dropout: bool
) -> nn.Module:
    """Build the small Inception network: ten modules in three stages, and a mean over places.

    1,649,402 parameters for ten classes of colour images, as published, with batch normalisation
    and without: this learns a shift and no scale, in place of the bias.

    Args:
        image_shape: (C, H, W).
        classes: K.
        wide: share of the published channels, above 0 and at most 1.
        normalise: with batch normalisation.
        dropout: before the last layer, which the publication does not have here.
    """

    def cut(*widths: int) -> tuple[int, ...]:
        return tuple(max(1, round(wide * width)) for width in widths)

    count = cut(96)[0]
    layers: list[nn.Module] = [ConvolutionUnit(image_shape[0], count, 3, normalise)]
    for one, three in INCEPTION_WIDTHS:
        module: MixedUnit | HalvingUnit
        if one:
            module = MixedUnit(count, cut(one, three), normalise)
        else:
            module = HalvingUnit(count, cut(three)[0], normalise)
        layers.append(module)
        count = module.channels
    drop = [nn.Dropout(DROPPED_UNITS)] if dropout else []
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pool, *drop, nn.Linear(count, classes))


INCEPTION_WIDTHS = (
    *((32, 32), (32, 48), (0, 80)),
    *((112, 48), (96, 64), (80, 80), (48, 96), (0, 96)),
    *((176, 160), (176, 160)),
)
"""Channels of the 1 x 1 and the 3 x 3 convolution of each module; 0 where the image is halved."""


class ConvolutionUnit(nn.Module):
    """Convolution, batch normalisation or none, a bias for each channel, ReLU."""

    def __init__(
        self, before: int, channels: int, side: int, normalise: bool, stride: int = 1
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, channels, side, stride, side // 2, bias=False)
        if not normalise:
            nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        self.normalisation = nn.BatchNorm2d(channels, affine=False) if normalise else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, channels, H / stride, W / stride)`."""
        found: Tensor = self.normalisation(self.convolution(images))
        return (found + self.bias[:, None, None]).relu()


class MixedUnit(nn.Module):
    """A 1 x 1 and a 3 x 3 convolution side by side."""

    def __init__(self, before: int, widths: tuple[int, ...], normalise: bool) -> None:
        super().__init__()
        self.one = ConvolutionUnit(before, widths[0], 1, normalise)
        self.three = ConvolutionUnit(before, widths[1], 3, normalise)
        self.channels = sum(widths)

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, channels, H, W)`."""
        return torch.cat([self.one(images), self.three(images)], 1)


class HalvingUnit(nn.Module):
    """A 3 x 3 convolution and a maximum of 3 x 3 side by side, both in steps of two."""

    def __init__(self, before: int, three: int, normalise: bool) -> None:
        super().__init__()
        self.three = ConvolutionUnit(before, three, 3, normalise, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.channels = three + before

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, channels, H / 2, W / 2)`, rounded up."""
        return torch.cat([self.three(images), self.pool(images)], 1)


RANDOM_LABEL_NETWORKS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "Inception": small_inception,
        "AlexNet": small_alexnet,
        "MLP 3x512": three_layers,
        "MLP 1x512": one_layer,
    }
)
"""By the name in the publication: ``build(image_shape, classes, wide=, normalise=, dropout=)``."""

FIRST_RATES: Mapping[str, float] = MappingProxyType(
    {"Inception": 0.1, "AlexNet": 0.01, "MLP 3x512": 0.01, "MLP 1x512": 0.01}
)
"""Learning rates at the start, as published."""

RATE_WITHOUT_NORMALISATION = 0.01
"""Of Inception without batch normalisation, which does not learn at the other rate."""
