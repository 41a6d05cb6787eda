"""Hashes: equal for equal images, on every machine and in every layout, different otherwise."""

import hashlib
from dataclasses import replace

import pytest
import torch

from whence.data.fingerprint import content_hashes, fingerprint
from whence.records.images import ImageSet


@pytest.fixture
def images(rng):
    pixels = torch.randint(0, 256, (5, 3, 4, 6), generator=rng).to(torch.uint8)
    return ImageSet(pixels, torch.tensor([0, 1, 1, 0, 1]), ("cat", "dog"))


def test_fingerprint_by_hand(images):
    head = b'{"shape": [5, 3, 4, 6], "classes": ["cat", "dog"]}'
    labels = b"".join(label.to_bytes(8, "little") for label in [0, 1, 1, 0, 1])
    pixels = bytes(images.images.flatten().tolist())
    assert fingerprint(images) == hashlib.sha256(head + labels + pixels).hexdigest()


def test_fingerprint_sees_every_change(images):
    pixels = images.images.clone()
    pixels[4, 2, 3, 5] ^= 1
    changes = [
        replace(images, images=pixels),
        replace(images, images=images.images.reshape(5, 3, 6, 4)),
        replace(images, labels=torch.tensor([0, 1, 1, 0, 0])),
        replace(images, class_names=("cat", "cow")),
        replace(images, class_names=("cat,dog", "cow")),
        images.take(torch.tensor([1, 0, 2, 3, 4])),
    ]
    assert len({fingerprint(item) for item in [images, *changes]}) == 7


def test_fingerprint_does_not_see_layout_or_sources(images):
    same = [
        replace(images, images=images.images.contiguous(memory_format=torch.channels_last)),
        replace(images, sources=tuple("abcde")),
        images.take(torch.arange(5)),
    ]
    assert {fingerprint(item) for item in same} == {fingerprint(images)}


def test_content_hash_by_hand(images):
    digest = hashlib.blake2b(
        b"[3, 4, 6]" + bytes(images.images[2].flatten().tolist()), digest_size=16
    )
    assert content_hashes(images.images)[2] == digest.hexdigest()


def test_equal_images_have_equal_hashes(images):
    pixels = images.images[[0, 1, 0, 2]]
    hashes = content_hashes(pixels)
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[2]
    assert content_hashes(pixels[2:3]) == hashes[2:3], "the batch does not matter"
    assert content_hashes(pixels.contiguous(memory_format=torch.channels_last)) == hashes
    assert content_hashes(pixels.transpose(2, 3)) != hashes
    assert content_hashes(pixels.transpose(2, 3).transpose(2, 3)) == hashes


def test_shape_counts(images):
    hashes = [
        content_hashes(images.images.reshape(5, *shape))[0]
        for shape in [(3, 4, 6), (3, 6, 4), (1, 12, 6)]
    ]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_count_as_pixels_only_where_they_are(dtype):
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert content_hashes((pixels.to(dtype) / 255).requires_grad_()) == content_hashes(pixels)
    nearly = (pixels[..., 1:4].to(dtype) - 0.4) / 255
    hashes = content_hashes(nearly)
    assert hashes != content_hashes(pixels[..., 1:4])
    assert hashes == content_hashes(nearly.clone())
    assert hashes != content_hashes(nearly + 1e-4)
    both = torch.cat([nearly, pixels[..., 1:4].to(dtype) / 255])
    assert content_hashes(both) == hashes + content_hashes(pixels[..., 1:4]), "each by itself"
    with pytest.raises(ValueError, match=r"floats in \[0, 1\]"):
        content_hashes(pixels.to(dtype))


def test_no_images():
    assert content_hashes(torch.zeros(0, 3, 4, 4, dtype=torch.uint8)) == ()


def test_rejects_one_image():
    with pytest.raises(ValueError, match=r"images must be \(B, C, H, W\), got shape \(3, 4, 4\)"):
        content_hashes(torch.zeros(3, 4, 4, dtype=torch.uint8))
