"""Measures of the images that a morph gives."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.morphing_parts import (
    SHAPE,
    draw,
)
from whence.morphing.quality import (
    code_proximity,
    distance_to_real,
    im1,
    im2,
    pixel_proximity,
    sparsity,
    validity,
)

# Quality


def test_quality_by_hand():
    logits = torch.tensor([[1.0, 2, 0], [3, 2, 1]])
    assert validity(logits, torch.tensor([1, 2])).tolist() == [1.0, 0.0]
    images = torch.zeros(2, 1, 2, 3)
    others = torch.tensor([0.25, 0.5])[:, None, None, None].expand(2, 1, 2, 3)
    assert_close(pixel_proximity(images, others), torch.tensor([1.5, 3.0]))
    codes = torch.tensor([[1.0, 0, 0], [2, 2, 0]])
    assert_close(
        code_proximity(codes, torch.tensor([[0.0, 5, 0], [0, 3, 0]])),
        torch.tensor([0.0, math.sqrt(0.5)]),
    )
    masks = torch.tensor([[[0.0, 0.05, 0.1], [1, 1, 1]], [[0, 0, 0], [0, 0, 0]]])
    assert_close(sparsity(masks), torch.tensor([2 / 6, 1.0]))
    assert_close(sparsity(masks, threshold=0.2), torch.tensor([0.5, 1.0]))


def test_distances_to_real_images_one_by_one():
    images, stored = draw(5, *SHAPE).abs(), draw(23, *SHAPE, seed=1).abs()
    labels, wanted = torch.arange(23) % 3, torch.tensor([2, 0, 0, 1, 2])
    found = distance_to_real(images, wanted, stored, labels, nearest=3)
    for row in range(5):
        distances = sorted(
            float((images[row] - other).square().sum().sqrt())
            for other, label in zip(stored, labels, strict=True)
            if label == wanted[row]
        )
        assert float(found[row]) == pytest.approx(sum(distances[:3]) / 3, rel=1e-5)
    with pytest.raises(
        ValueError, match="Class 2 must have at least 8 real images to compare with, got 7"
    ):
        distance_to_real(images, wanted, stored, labels, nearest=8)
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        distance_to_real(images, wanted, stored, labels, nearest=0)
    with pytest.raises(ValueError, match=r"stored must be \(N, C, H, W\) with W=5"):
        distance_to_real(images, wanted, stored[..., 1:], labels)


def test_im1_and_im2_by_hand():
    """Of the image 2, 1 the autoencoder of other makes 1, 1, that of self 0, 3, that of all 2, 0."""
    images = torch.tensor([2.0, 1.0]).view(1, 1, 1, 2).repeat(3, 1, 1, 1)

    def make(*values):
        return lambda some: torch.tensor(values).view(1, 1, 1, 2).expand_as(some)

    other, own, every = make(1.0, 1.0), make(0.0, 3.0), make(2.0, 0.0)
    assert_close(im1(images, other, own), torch.full((3,), 1 / 8))
    assert_close(im2(images, other, every), torch.full((3,), 2 / 3))
    assert_close(im1(images, other, make(2.0, 1.0)), torch.full((3,), 1e8))
    assert_close(im2(images * 0, make(1e-4, 0.0), make(0.0, 0.0)), torch.ones(3))
    with pytest.raises(ValueError, match=r"the reconstruction must be \(B, C, H, W\) with B=3"):
        im1(images, lambda some: some[:1], own)
    with pytest.raises(ValueError, match="with W=2"):
        im2(images, other, lambda some: some[..., :1])
