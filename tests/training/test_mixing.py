"""Trainings on pairs of images put together: their loss, and what may be looked at."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.data.mixing import Mixed, cutmix
from whence.records.images import ImageSet
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.step import Batch, BatchDraws, Criterion


def make_images(rng):
    labels = torch.arange(24) % 3
    noise = torch.randint(0, 60, (24, 1, 8, 8), generator=rng)
    return ImageSet(
        (noise + 60 * labels[:, None, None, None]).to(torch.uint8), labels, tuple("abc")
    )


def test_pairs_lose_for_both_labels(rng):
    """The loss is that of probabilities in place of labels, in whatever parts it is computed."""
    images = make_images(rng)
    mixed = cutmix(images.images, generator=rng)
    logits = torch.randn(24, 3, generator=rng)
    counts = torch.rand(24, generator=rng) + 0.5
    sure = F.one_hot(images.labels, 3).float()
    wanted = mixed.shares[:, None] * sure + (1 - mixed.shares)[:, None] * sure[mixed.others]
    batch = Batch(mixed.images, images.labels, None, None, None, 0, mixed=mixed)
    loss, right = Criterion(label_smoothing=0.1).judge_batch(logits, batch)
    assert_close(loss, F.cross_entropy(logits, wanted, label_smoothing=0.1))
    assert float(right) == pytest.approx(float((logits.argmax(1) == images.labels).float().mean()))
    counted = (
        counts[:, None] * mixed.shares[:, None] * sure
        + (counts[:, None] * sure)[mixed.others] * (1 - mixed.shares)[:, None]
    )
    loss, _ = Criterion().judge_batch(logits, batch._replace(counts=counts))
    assert_close(loss, -(counted * logits.log_softmax(1)).sum(1).mean())
    parts = [
        Criterion().judge_batch(logits[rows], batch, rows)[0]
        for rows in (slice(0, 8), slice(8, 24))
    ]
    assert_close((8 * parts[0] + 16 * parts[1]) / 24, Criterion().judge_batch(logits, batch)[0])


def test_neither_image_of_a_pair_is_looked_at_in_the_memory(rng):
    labels = torch.arange(12) % 3

    def swap(images):
        return Mixed(images, torch.arange(6).roll(1), torch.full((6,), 0.5))

    draws = BatchDraws(lambda places: places.float()[:, None], labels, 8, False, rng, mix=swap)
    picked = torch.tensor([3, 1, 4, 0, 5, 9])
    batch = draws.draw(picked, 0)
    for row, (own, other) in enumerate(zip(picked, picked.roll(1), strict=True)):
        stored = batch.memory[:, 0].long()
        assert torch.equal(batch.mask[row], (stored != own) & (stored != other))


def test_frozen_encoders_take_no_pairs(rng):
    model = whence.wrap("small_cnn", 3, variant="standard", image_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="mixing must be left out where the encoder is frozen"):
        fit(
            model,
            make_images(rng),
            recipe=Recipe(mixing="mixup"),
            plan=Plan(1, freeze_encoder=True),
        )
    with pytest.raises(ValueError, match=r"Unknown mixing 'both'. Choose from: mixup, cutmix"):
        fit(model, make_images(rng), recipe=Recipe(mixing="both"), plan=Plan(1))
