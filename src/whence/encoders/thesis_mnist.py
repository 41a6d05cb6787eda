"""The MNIST and notMNIST classifier of a thesis on path masks, without its last layer.

Appendix C of the thesis, listing C.1; its method is semantic morphing. Its other two classifiers
are made of the same pieces.
"""

from torch import nn

Layers = list[nn.Module]


def thesis_mnist(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build three convolutions and a layer of 128 features, each normalised and rectified.

    With the linear head of the standard variant this is listing C.1; there C is 1, H and W are 28,
    and the last convolution leaves 6 x 6 pixels.

    Args:
        channels: C of the images.
        image_size: H and W in pixels, one number for both. A side below 13 is padded with zeros
            below or to the right, because nothing would be left of it.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 128)`, none of them negative.
    """
    height, width = sides(image_size)
    left = [(max(side, 13) - 1) // 3 - 3 for side in (height, width)]
    return nn.Sequential(
        *pad((height, width), 13),
        *convolve(channels, 16, kernel=5, stride=3, padding=2),
        *convolve(16, 32),
        *convolve(32, 64),
        nn.Flatten(),
        *connect(64 * left[0] * left[1], 128),
    )


def convolve(
    channels: int, width: int, *, kernel: int = 3, stride: int = 1, padding: int = 0
) -> Layers:
    """Build a convolution without bias, batch normalisation and ReLU."""
    convolution = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


def connect(inputs: int, outputs: int) -> Layers:
    """Build a linear layer without bias, batch normalisation, ReLU and dropout of a half."""
    linear = nn.Linear(inputs, outputs, bias=False)
    return [linear, nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout()]


def pad(image_size: tuple[int, int], least: int) -> Layers:
    """Build the padding that brings both sides to at least ``least`` pixels, if one is needed."""
    height, width = image_size
    missing = max(least - width, 0), max(least - height, 0)
    return [nn.ZeroPad2d((0, missing[0], 0, missing[1]))] if any(missing) else []


def sides(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return H and W, which may be given as one number."""
    return (image_size, image_size) if isinstance(image_size, int) else image_size
