"""What deconvolutional networks are used for: patterns, pieces of photos, denoising, recognition."""

import numpy as np
import pytest
import torch

from whence.data.load import load_dataset
from whence.studies.deconvolutional.adaptive import (
    bring_to_length,
)
from whence.studies.deconvolutional.crops import cut_crops, load_photos, prepare_images
from whence.studies.deconvolutional.denoise import (
    PatchDictionary,
    denoise_first,
    denoise_patches,
    peak_ratio,
)
from whence.studies.deconvolutional.layers import (
    DeconvolutionalLayer,
)
from whence.studies.deconvolutional.patterns import (
    measure_error,
    measure_orientation,
    measure_sharpness,
)
from whence.studies.deconvolutional.pyramid import (
    build_pyramids,
    classify_pyramids,
    describe_places,
)
from whence.studies.deconvolutional.recognise import draw_classes


def delta(side):
    found = torch.zeros(side, side)
    found[side // 2, side // 2] = 1
    return found


def test_orientation_of_gratings_crosses_and_blobs():
    waves = torch.sin(torch.arange(15.0) * 1.3)
    grating = waves.expand(15, 15)
    both = torch.stack([grating, grating + grating.T])[:, None]
    found = measure_orientation(both)
    assert float(found[0]) > 0.85
    assert float(found[1]) < 0.05
    assert float(measure_orientation(delta(15)[None, None])[0]) < 0.05


def test_sharpness_and_error_by_hand(rng):
    images = torch.randn(2, 1, 9, 9, generator=rng)
    assert measure_sharpness(images / 2, images) == pytest.approx(0.5)
    assert measure_error(images / 2, images) == pytest.approx(0.25)
    assert measure_sharpness(torch.ones_like(images), images) == 0


def test_crops_have_contrast_and_prepared_images_no_mean(rng):
    photos = load_photos()
    assert [tuple(photo.shape) for photo in photos] == [(1, 213, 320)] * 2
    crops = cut_crops(photos, 4, rng)
    assert crops.shape == (4, 1, 32, 32)
    prepared = prepare_images(crops)
    torch.testing.assert_close(prepared.flatten(1).std(1), torch.ones(4))
    assert float(prepared.mean().abs()) < 0.2


def test_denoising_takes_noise_away(rng):
    clean = torch.full((2, 1, 16, 16), 0.5)
    clean[:, :, :, 8:] = 0.8
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=rng)
    bar = torch.ones(1, 1, 7, 1).expand(1, 1, 7, 7).clone()
    bar[..., :3], bar[..., 3], bar[..., 4:] = -1, 0, 1
    layer = DeconvolutionalLayer(bring_to_length(bar), torch.ones(1, 1), 1.0)
    found = denoise_first(layer, noisy, 10.0)
    assert peak_ratio(found.images, clean) > peak_ratio(noisy, clean) + 3
    assert 0 < found.used < 1
    sparser = denoise_first(layer, noisy, 40.0, 0.5)
    assert 0 < sparser.used < denoise_first(layer, noisy, 40.0).used / 2
    words = np.eye(9)
    whole = denoise_patches(PatchDictionary(words, 3), noisy, 1e-6)
    torch.testing.assert_close(whole.images, noisy, atol=1e-4, rtol=0)
    assert peak_ratio(torch.full((1,), 0.6), torch.full((1,), 0.5)) == pytest.approx(20)


def test_descriptors_and_pyramids_by_hand():
    maps = torch.zeros(1, 2, 20, 20)
    maps[0, 0, :4, :4] = -3.0
    maps[0, 1, :4, 4:8] = 4.0
    found = describe_places(maps)
    assert found.shape == (1, 4, 4, 8)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.6, 0, 0, 0, 0, 0.8, 0, 0]))
    words = torch.stack([torch.zeros(8), found[0, 0, 0]])
    pyramid = build_pyramids(found, words)[0].reshape(21, 2)
    near = int((torch.cdist(found.flatten(1, 2), words).argmin(2) == 1).sum())
    np.testing.assert_allclose(pyramid[0], [0.25 * (16 - near) / 16, 0.25 * near / 16])
    np.testing.assert_allclose(pyramid[5:].sum(), 0.5)
    np.testing.assert_allclose(pyramid[5], [0, 0.5 / 16])  # the first place of the finest level
    labels = torch.tensor([0, 1] * 5)
    known = np.eye(2)[labels.numpy()]
    assert classify_pyramids([known], labels, [known[:4]], labels[:4]) == 1


def test_classes_are_drawn_alike_or_refused(rng):
    digits = load_dataset("digits").train.take(range(200))
    images, labels = draw_classes(digits, 3, rng)
    assert images.shape == (30, 1, 8, 8)
    assert labels.bincount().tolist() == [3] * 10
    with pytest.raises(ValueError, match="Every class must have 99 images, 0 has"):
        draw_classes(digits, 99, rng)
