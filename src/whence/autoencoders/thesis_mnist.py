"""The MNIST and notMNIST autoencoder of the thesis, appendix C, listing C.2."""

from whence.autoencoders.transposed import check_decoded, end, start, transpose
from whence.autoencoders.vae import VAE
from whence.encoders.thesis_mnist import thesis_mnist as trunk


def thesis_mnist(image_shape: tuple[int, int, int], *, codes: int = 100) -> VAE:
    """Build listing C.2: the classifier's layers, 100 means and deviations, and their mirror image.

    The listing calls its second linear layer the deviation; here it is the logarithm of the
    variance, which may have any sign.

    Args:
        image_shape: (C, H, W); (1, 28, 28) in the thesis. H and W must be 1 more than a multiple
            of 3, and at least 13.
        codes: Z.

    Raises:
        ValueError: if the decoder cannot make images of that size.
    """
    channels, height, width = image_shape
    left = (height - 1) // 3 - 3, (width - 1) // 3 - 3
    made = 3 * (left[0] + 3) + 1, 3 * (left[1] + 3) + 1
    check_decoded("thesis_mnist", image_shape, made if min(left) > 0 else (0, 0))
    decoder = end(
        [
            *start(codes, (64, *left)),
            *transpose(64, 32),
            *transpose(32, 16),
            *transpose(16, channels, kernel=5, stride=3, padding=2),
        ]
    )
    return VAE(
        trunk(channels, (height, width)),
        128,
        decoder,
        codes=codes,
        name="thesis_mnist",
        image_shape=image_shape,
    )
