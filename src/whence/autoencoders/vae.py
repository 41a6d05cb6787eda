"""A variational autoencoder: images to a normal distribution of codes, codes to images."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.data.augment import to_float
from whence.models.evaluating import evaluating
from whence.shapes import check_batch_size, check_shape

LEAST_VARIANCE = 1e-4
"""Below a hundredth of the range of a pixel, deviations count as noise of its 256 steps."""

MOMENTUM = 0.05
"""Of the running variance, per training step."""


class Distribution(NamedTuple):
    """What the encoder says of images: `(B, Z)` means and deviations of independent normals."""

    mean: Tensor
    deviation: Tensor

    def divergence(self) -> Tensor:
        """Return `(B, Z)` nats that each number of a code carries.

        The Kullback-Leibler divergence from the normal distribution with mean 0 and deviation 1
        (Kingma and Welling 2014, appendix B).
        """
        square = self.mean.square() + self.deviation.square()
        return (square - 2 * self.deviation.log() - 1) / 2


class Bound(NamedTuple):
    """The evidence lower bound of each image in nats, `(B,)`, and its two parts."""

    elbo: Tensor
    likelihood: Tensor
    divergence: Tensor


class VAE(nn.Module):
    """An encoder to distributions of codes, and a decoder; made by the functions in ``VAES``.

    Kingma and Welling (2014), arXiv:1312.6114. A pixel is normally distributed about its decoded
    value, with one variance for all pixels.

    Attributes:
        trunk: maps images `(B, C, H, W)` in [0, 1] to features `(B, D)`.
        means, deviations: linear layers from D features to Z means and Z logarithms of variances.
        decoder: maps codes `(B, Z)` to images `(B, C, H, W)` in [0, 1].
        variance: of a pixel, in squared units of [0, 1]. With 0.5 the bound is, but for a constant,
            the squared error of an image plus the divergence.
        calibrated: the variance follows the squared error while training. Rybkin et al. (2021),
            arXiv:2006.13202, section 3.2: the best shared variance is the mean squared error. Only
            training looks at it.
        name: in ``VAES``.
        image_shape: (C, H, W).
        codes: Z.
    """

    variance: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        decoder: nn.Module,
        *,
        codes: int,
        name: str,
        image_shape: tuple[int, int, int],
        calibrated: bool = True,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.means = nn.Linear(features, codes)
        self.deviations = nn.Linear(features, codes)
        self.decoder = decoder
        self.codes = codes
        self.name = name
        self.image_shape = image_shape
        self.calibrated = calibrated
        self.register_buffer("variance", torch.tensor(0.5))
        self.to(memory_format=torch.channels_last)

    def distribution(self, images: Images) -> Distribution:
        """Encode `(B, C, H, W)` images, uint8 or float in [0, 1], in the module's mode.

        Raises:
            ValueError: if the shape does not fit, or a float image leaves [0, 1].
            TypeError: if the images are neither uint8 nor float.
        """
        asked = as_images(images, self)
        pixels = to_float(asked.to(self.variance.device)).to(self.variance.dtype)
        features = self.trunk(pixels.contiguous(memory_format=torch.channels_last))
        logarithms = self.deviations(features).clamp(-20.0, 20.0)  # exp stays finite
        return Distribution(self.means(features), (logarithms / 2).exp())

    def decode(self, codes: Tensor) -> Tensor:
        """Decode `(B, Z)` codes to `(B, C, H, W)` images in [0, 1], in the module's mode.

        Raises:
            ValueError: if the shape does not fit.
        """
        check_shape("codes", codes, "B Z", Z=self.codes)
        images: Tensor = self.decoder(codes.to(self.variance.device, self.variance.dtype))
        return images

    def bound(self, images: Tensor, noise: Tensor) -> Bound:
        """Compute the evidence lower bound of images from one sample of their codes.

        Args:
            images: `(B, C, H, W)` uint8 or float in [0, 1].
            noise: `(B, Z)` standard normal numbers that make the sample.

        Returns:
            Of each image, in nats of the density of its pixels in [0, 1]. In training mode the
            variance of a calibrated module is the mean squared error of this very batch, and the
            module's own variance moves towards it.
        """
        codes = self.distribution(images)
        mean = codes.mean
        decoded = self.decode(mean + codes.deviation * noise.to(mean))
        errors = (decoded - to_float(images.to(mean.device)).to(mean)).square().flatten(1)
        variance = self.variance
        if self.calibrated and self.training:
            variance = errors.detach().mean().clamp_min(LEAST_VARIANCE)
            self.variance.lerp_(variance, MOMENTUM)
        constant = errors.shape[1] / 2 * (2 * math.pi * variance).log()
        likelihood = -errors.sum(1) / (2 * variance) - constant
        divergence = codes.divergence().sum(1)
        return Bound(likelihood - divergence, likelihood, divergence)


class Grid(nn.Module):
    """Give the rows `(B, channels * height * width)` of a linear layer the shape of an image."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = channels, height, width

    def forward(self, rows: Tensor) -> Tensor:
        """Return `(B, channels, height, width)`."""
        return rows.view(-1, *self.shape).contiguous(memory_format=torch.channels_last)


def encode_images(vae: VAE, images: Images, *, batch_size: int = BATCH_SIZE) -> Distribution:
    """Encode many images `(N, C, H, W)` in eval mode; `(N, Z)` on the autoencoder's device."""
    check_batch_size(batch_size)
    asked = as_images(images, vae)
    with evaluating(vae):
        parts = [vae.distribution(batch) for batch in asked.split(batch_size)]
    return Distribution(
        torch.cat([part.mean for part in parts]), torch.cat([part.deviation for part in parts])
    )


def decode_codes(vae: VAE, codes: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Decode many codes `(N, Z)` in eval mode; `(N, C, H, W)` in [0, 1] on the same device."""
    check_batch_size(batch_size)
    with evaluating(vae):
        return torch.cat([vae.decode(batch) for batch in codes.split(batch_size)])


def absolute_distance(images: Tensor, others: Tensor) -> Tensor:
    """Return `(B,)` mean absolute differences of pixels, in [0, 1], lower is nearer."""
    return F.l1_loss(images, others, reduction="none").flatten(1).mean(1)
