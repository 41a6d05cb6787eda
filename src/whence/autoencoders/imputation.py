"""Hidden pixels from an autoencoder of the data: images that stay among those it knows."""

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE
from whence.metrics.attributed import Refill
from whence.models.evaluating import evaluating

ROUNDS = 10
"""How often an image is encoded and decoded; the changes have died down by then."""


def refill_from(vae: VAE, *, rounds: int = ROUNDS, batch_size: int = BATCH_SIZE) -> Refill:
    """Fill hidden pixels with what an autoencoder makes of the others.

    Rezende, Mohamed and Wierstra (2014), arXiv:1401.4082, appendix F: encode, decode, keep what is
    known, and again; here with the means, so that nothing is drawn. Hidden pixels begin as the mean
    colour of those that are seen.

    Args:
        vae: in eval mode, for images of the same shape.
        rounds: how often.
        batch_size: images at once.
    """

    def refill(images: Tensor, hidden: Tensor) -> Tensor:
        parts = zip(images.split(batch_size), hidden.split(batch_size), strict=True)
        return torch.cat([impute(vae, some, marks[:, None], rounds) for some, marks in parts])

    return refill


def impute(vae: VAE, images: Tensor, hidden: Tensor, rounds: int) -> Tensor:
    """Fill pixels `(n, 1, H, W)` bool of images `(n, C, H, W)`."""
    seen = (~hidden).sum((-2, -1), keepdim=True).clamp_min(1)
    colour = images.masked_fill(hidden, 0).sum((-2, -1), keepdim=True) / seen
    filled = colour.where(hidden, images)
    with evaluating(vae):
        for _ in range(rounds):
            decoded = vae.decode(vae.distribution(filled.to(vae.variance)).mean)
            filled = decoded.to(images).where(hidden, images)
    return filled
