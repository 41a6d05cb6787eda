"""How well an autoencoder reconstructs images."""

import math
from dataclasses import asdict, dataclass

from whence.autoencoders.fit_vae import measure_bound
from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.data.augment import to_float
from whence.models.evaluating import evaluating
from whence.shapes import check_batch_size


@dataclass(frozen=True)
class Reconstruction:
    """Means over images.

    Attributes:
        images: how many.
        mse: mean squared difference of a pixel from its reconstruction by the mean code, in squared
            units of [0, 1]; lower is better.
        l1: mean absolute difference, in [0, 1]; lower is better.
        elbo: evidence lower bound, nats per image, one sample of the code each; higher is better.
        divergence: nats per image that the code carries: the bound's Kullback-Leibler part.
    """

    images: int
    mse: float
    l1: float
    elbo: float
    divergence: float


def measure_reconstruction(
    vae: VAE, images: Images, *, seed: int = 0, batch_size: int = BATCH_SIZE
) -> Reconstruction:
    """Reconstruct images and average the differences, in eval mode.

    Args:
        vae: the autoencoder.
        images: `(N, C, H, W)` uint8 or float in [0, 1], at least one.
        seed: of the sampled codes.
        batch_size: how many at once.

    Raises:
        ValueError: if there are no images, they are of another size, or a mean is not finite.
    """
    check_batch_size(batch_size)
    shown = as_images(images, vae)
    if len(shown) == 0:
        raise ValueError("images must hold at least one image, got none.")
    squared = absolute = divergence = 0.0
    with evaluating(vae):
        for batch in shown.split(batch_size):
            codes = vae.distribution(batch)
            decoded = vae.decode(codes.mean)
            differences = (decoded - to_float(batch.to(decoded.device)).to(decoded)).double()
            squared += float(differences.square().sum())
            absolute += float(differences.abs().sum())
            divergence += float(codes.divergence().double().sum())
    found = Reconstruction(
        images=len(shown),
        mse=squared / shown.numel(),
        l1=absolute / shown.numel(),
        elbo=measure_bound(vae, shown, seed=seed, batch_size=batch_size),
        divergence=divergence / len(shown),
    )
    for name, value in asdict(found).items():
        if not math.isfinite(value):
            raise ValueError(
                f"vae must reconstruct with finite numbers, {name} of these images is {value}; "
                "train it with a lower learning rate (--learning-rate)."
            )
    return found
