"""The FashionMNIST classifier of a thesis on path masks, without its last layer.

Appendix C of the thesis, listing C.3.
"""

from torch import nn

from whence.encoders.thesis_mnist import connect, convolve, pad, sides


def thesis_fashion_mnist(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build four convolutions and a layer of 128 features, each normalised and rectified.

    With the linear head of the standard variant this is listing C.3; there C is 1, H and W are 28,
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
        *convolve(channels, 32, padding=1),
        *convolve(32, 64, stride=3, padding=1),
        *convolve(64, 128),
        *convolve(128, 128),
        nn.Flatten(),
        *connect(128 * left[0] * left[1], 128),
    )
