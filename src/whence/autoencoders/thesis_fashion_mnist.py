"""The FashionMNIST autoencoder of the thesis, appendix C, listing C.4."""

from torch import nn

from whence.autoencoders.transposed import check_decoded, end, start, transpose
from whence.autoencoders.vae import VAE
from whence.encoders.thesis_mnist import connect, convolve


def thesis_fashion_mnist(image_shape: tuple[int, int, int], *, codes: int = 100) -> VAE:
    """Build listing C.4: five convolutions, 100 means and deviations, and their mirror image.

    Args:
        image_shape: (C, H, W); (1, 28, 28) in the thesis. H and W must be 1 more than a multiple
            of 3, and at least 22.
        codes: Z.

    Raises:
        ValueError: if the decoder cannot make images of that size.
    """
    channels, height, width = image_shape
    left = (height - 1) // 3 - 5, (width - 1) // 3 - 5
    made = 3 * (left[0] + 5) + 1, 3 * (left[1] + 5) + 1
    check_decoded("thesis_fashion_mnist", image_shape, made if min(left) > 0 else (0, 0))
    trunk = nn.Sequential(
        *convolve(channels, 32, padding=1),
        *convolve(32, 64, stride=3, padding=1),
        *convolve(64, 128),
        *convolve(128, 128),
        *convolve(128, 256),
        nn.Flatten(),
        *connect(256 * left[0] * left[1], 128),
    )
    decoder = end(
        [
            *start(codes, (256, *left)),
            *transpose(256, 128),
            *transpose(128, 128),
            *transpose(128, 64),
            *transpose(64, 32, stride=3, padding=1),
            *transpose(32, channels, padding=1),
        ]
    )
    return VAE(
        trunk,
        128,
        decoder,
        codes=codes,
        name="thesis_fashion_mnist",
        image_shape=image_shape,
    )
