"""Denoising by sparse codes: one layer, two layers, and patches coded one by one."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from whence.studies.deconvolutional.crops import split_smooth
from whence.studies.deconvolutional.layers import (
    DeconvolutionalLayer,
    infer_layer,
    infer_second,
    rebuild_image,
    start_maps,
)
from whence.studies.deconvolutional.sparse import CONTINUATION, synthesise

NOISE_DEVIATION = 0.1
"""Standard deviation, of pixels from 0 to 1."""


class Denoised(NamedTuple):
    """What is left of noisy images: pixels, and the share of a pixel's numbers that are not 0."""

    images: Tensor
    used: float


def peak_ratio(found: Tensor, images: Tensor) -> float:
    """Compute the peak signal-to-noise ratio of images in [0, 1], in dB; higher is better."""
    return -10 * math.log10(float((found.clamp(0, 1) - images).square().mean()))


def denoise_first(
    layer: DeconvolutionalLayer, noisy: Tensor, fidelity: float, power: float = 1.0
) -> Denoised:
    """Code noisy images `(N, 1, H, W)` by the first layer and put them together again.

    Args:
        layer: learned.
        noisy: in [0, 1] but for the noise.
        fidelity: lambda, what an error counts.
        power: p of the penalty |z|^p; below 1 by the table of solutions.
    """
    smooth, rest = split_smooth(noisy)
    asked = layer._replace(fidelity=fidelity)
    plan = CONTINUATION._replace(power=power)
    maps = infer_layer(asked, rest, start_maps(asked, rest), plan)
    return Denoised(smooth + synthesise(maps, layer.filters), count_used(maps, noisy))


def denoise_second(
    first: DeconvolutionalLayer, second: DeconvolutionalLayer, noisy: Tensor, fidelity: float
) -> Denoised:
    """Code noisy images by the second layer and project them down again."""
    smooth, rest = split_smooth(noisy)
    one, two = (layer._replace(fidelity=fidelity) for layer in (first, second))
    maps = infer_second(one, two, rest, infer_layer(one, rest, start_maps(one, rest)))
    return Denoised(smooth + rebuild_image(first, second, maps), count_used(maps, noisy))


def count_used(maps: Tensor, images: Tensor) -> float:
    """Count numbers that are not 0, by the pixels."""
    return float((maps != 0).sum()) / images.numel()


class PatchDictionary(NamedTuple):
    """Words `(K, h h)` of length 1, and pixels of a side of a patch."""

    words: "np.ndarray"
    side: int


def learn_patch_words(images: Tensor, count: int, side: int, seed: int) -> PatchDictionary:
    """Learn a dictionary of patches by scikit-learn (Mairal et al. 2009)."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    patches = cut_all_patches(images, side)
    learner = MiniBatchDictionaryLearning(
        count, alpha=1.0, max_iter=20, batch_size=256, random_state=seed
    )
    return PatchDictionary(learner.fit(patches).components_, side)


def cut_all_patches(images: Tensor, side: int) -> "np.ndarray":
    """Cut all patches out of images `(N, 1, H, W)`, a row each."""
    found = images.unfold(2, side, 1).unfold(3, side, 1)
    rows: np.ndarray = found.reshape(-1, side * side).double().numpy()
    return rows


def denoise_patches(dictionary: PatchDictionary, noisy: Tensor, penalty: float) -> Denoised:
    """Code every patch by itself, and average what overlapping ones say of a pixel."""
    from sklearn.decomposition import sparse_encode

    side, (count, _, height, width) = dictionary.side, noisy.shape
    smooth, rest = split_smooth(noisy)
    codes = sparse_encode(
        cut_all_patches(rest, side), dictionary.words, algorithm="lasso_cd", alpha=penalty
    )
    rebuilt = torch.from_numpy(codes @ dictionary.words).float()
    rows = rebuilt.reshape(count, -1, side * side).transpose(1, 2)
    added = torch.nn.functional.fold(rows, (height, width), side)
    counted = torch.nn.functional.fold(torch.ones_like(rows), (height, width), side)
    used = float((codes != 0).sum()) / noisy.numel()
    return Denoised(smooth + added / counted, used)
