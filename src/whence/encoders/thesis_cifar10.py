"""The CIFAR-10 classifier of a thesis on path masks, without its last layer.

Appendix C of the thesis, listing C.5.
"""

from torch import nn

from whence.encoders.thesis_mnist import connect, convolve, pad, sides


def thesis_cifar10(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build five convolutions, two poolings and two linear layers, the last of 128 features.

    With the linear head of the standard variant this is listing C.5; there C is 3, H and W are 32,
    and the last convolution leaves 3 x 3 pixels.

    Args:
        channels: C of the images.
        image_size: H and W in pixels, one number for both. A side below 24 is padded with zeros
            below or to the right, because nothing would be left of it.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 128)`, none of them negative.
    """
    height, width = sides(image_size)
    left = [((max(side, 24) - 4) // 2 - 4) // 2 - 2 for side in (height, width)]
    return nn.Sequential(
        *pad((height, width), 24),
        *convolve(channels, 64),
        *convolve(64, 64),
        nn.MaxPool2d(2),
        *convolve(64, 128),
        *convolve(128, 128),
        nn.MaxPool2d(2),
        *convolve(128, 256),
        nn.Flatten(),
        *connect(256 * left[0] * left[1], 256),
        *connect(256, 128),
    )
