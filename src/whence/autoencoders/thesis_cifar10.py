"""The CIFAR-10 autoencoder of the thesis, appendix C, listing C.6."""

from torch import nn

from whence.autoencoders.transposed import check_decoded, end, start, transpose
from whence.autoencoders.vae import VAE
from whence.encoders.thesis_mnist import connect, convolve


def thesis_cifar10(image_shape: tuple[int, int, int], *, codes: int = 100) -> VAE:
    """Build listing C.6: six convolutions, 100 means and deviations, and their mirror image.

    Args:
        image_shape: (C, H, W); (3, 32, 32) in the thesis. H and W must be 2 more than a multiple
            of 6, and at least 26.
        codes: Z.

    Raises:
        ValueError: if the decoder cannot make images of that size.
    """
    channels, height, width = image_shape
    left = ((height - 4) // 2 - 5) // 3 - 1, ((width - 4) // 2 - 5) // 3 - 1
    made = 2 * (3 * left[0] + 8) + 4, 2 * (3 * left[1] + 8) + 4
    check_decoded("thesis_cifar10", image_shape, made if min(left) > 0 else (0, 0))
    trunk = nn.Sequential(
        *convolve(channels, 64),
        *convolve(64, 128),
        nn.MaxPool2d(2),
        *convolve(128, 256),
        *convolve(256, 128),
        *convolve(128, 128, kernel=5, stride=3, padding=2),
        *convolve(128, 256),
        nn.Flatten(),
        *connect(256 * left[0] * left[1], 128),
    )
    decoder = end(
        [
            *start(codes, (256, *left)),
            *transpose(256, 128),
            *transpose(128, 128, kernel=5, stride=3, padding=2),
            *transpose(128, 256),
            *transpose(256, 128),
            nn.Upsample(scale_factor=2),
            *transpose(128, 64),
            *transpose(64, channels),
        ]
    )
    return VAE(
        trunk,
        128,
        decoder,
        codes=codes,
        name="thesis_cifar10",
        image_shape=image_shape,
    )
