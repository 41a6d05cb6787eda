"""How smooth images are, and making them smoother."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def total_variation(images: Tensor) -> Tensor:
    """Average the squared steps between neighbouring pixels of `(B, C, H, W)`; `(B,)`.

    Mahendran and Vedaldi (2015), arXiv:1412.0035, section 2.3, with exponent 2, which has a slope
    everywhere.
    """
    down = images.diff(dim=2).square().flatten(1).sum(1)
    across = images.diff(dim=3).square().flatten(1).sum(1)
    return (down + across) / images[0].numel()


def soften_images(images: Tensor, width: float) -> Tensor:
    """Blur `(B, C, H, W)` by a Gaussian of a standard deviation in pixels; 0 leaves them.

    Beyond the border the nearest pixel goes on, so that an even image stays as it is.
    """
    if width == 0:
        return images
    reach = max(1, math.ceil(3 * width))
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = (-places.square() / (2 * width**2)).exp()
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)  # (C, 1, 1, 2 reach + 1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    channels = images.shape[1]
    across = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(across, kernel.transpose(2, 3), groups=channels)
