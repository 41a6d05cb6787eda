"""Autoencoders of single classes, by which the realism of other images is judged."""

import pytest
import torch

import whence.studies.parts.class_autoencoders as small
from tests.helpers.morphing_parts import SHAPE, draw_images
from whence.data.augment import to_float


def test_autoencoders_learn_their_own_class():
    patterns = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(90) % 3
    noise = 0.05 * torch.rand(90, *SHAPE, generator=torch.Generator().manual_seed(2))
    images = ((0.8 * patterns[labels] + noise) * 255).byte()
    trained = small.train_autoencoders(images, labels, classes=3, seed=0, steps=60)
    pixels = to_float(images)
    errors = torch.stack(
        [(by(pixels) - pixels).square().mean((1, 2, 3)) for by in trained.of_class]
    )
    assert torch.equal(errors.argmin(0), labels)
    together = (trained.of_all(pixels) - pixels).square().mean((1, 2, 3))
    assert float(errors.amin(0).mean()) < float(together.mean()) < float(errors.amax(0).mean())
    again = small.train_autoencoder(images[labels == 2], seed=0, steps=60)
    assert torch.equal(again(pixels), trained.of_class[2](pixels))
    assert not any(p.requires_grad for p in trained.of_all.parameters())
    assert not trained.of_all.training


def test_another_seed_gives_another_autoencoder():
    images = draw_images(6)
    one, two = (small.train_autoencoder(images, seed=seed, steps=0) for seed in (0, 1))
    assert not torch.equal(one(to_float(images)), two(to_float(images)))


def test_training_leaves_the_global_random_numbers_alone():
    before = torch.random.get_rng_state()
    small.train_autoencoder(draw_images(4), seed=3, steps=2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_class_without_images_has_no_autoencoder():
    with pytest.raises(ValueError, match="Class 1 must have images to train an autoencoder"):
        small.train_autoencoders(draw_images(3), torch.tensor([0, 2, 0]), classes=3, seed=0)
