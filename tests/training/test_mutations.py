"""Every part of a checkpoint, changed in every way: refused in one sentence, or without harm."""

import math
from dataclasses import replace

import pytest
import torch

import whence
from whence.autoencoders.fit_vae import VAEPlan, fit_vae
from whence.autoencoders.transposed import end
from whence.autoencoders.vae import VAE, Grid
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

SHAPE = (1, 4, 4)
RECIPE = Recipe(learning_rate=0.05, batch_size=5, optimizer="adam")
VALUES = (None, "2", True, -1, 0, 2.5, 10**30, math.nan, math.inf, [1], {})


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (15, *SHAPE), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.arange(15) % 3, ("a", "b", "c"))


def make_classifier():
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    return whence.wrap(layers, 3, image_shape=SHAPE)


def make_vae():
    torch.manual_seed(0)
    decoder = end([torch.nn.Linear(2, 16), Grid(*SHAPE), torch.nn.ReLU()])
    return VAE(torch.nn.Flatten(), 16, decoder, codes=2, name="small", image_shape=SHAPE)


def train_classifier(images, **options):
    fit(make_classifier(), images, recipe=RECIPE, plan=Plan(2, 6), **options)


def train_vae(images, **options):
    plan = VAEPlan(epochs=2, batch_size=5)
    fit_vae(make_vae(), images.images, images.images[:4], plan=plan, **options)


def change(tensor):
    """List what may stand in a tensor's place; None for nothing."""
    kinds = (torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool)
    return [
        None,
        *(tensor.to(kind) for kind in kinds if kind != tensor.dtype),
        tensor.flatten()[:-1],
        tensor[None],
        torch.stack([tensor, tensor]),
        torch.zeros(()),
        torch.zeros(0, dtype=tensor.dtype),
        torch.full_like(tensor, 255 if tensor.dtype == torch.uint8 else -7),
        *([torch.full_like(tensor, v) for v in (torch.nan, torch.inf, 3e38)] if tensor.is_floating_point() else []),
    ]  # fmt: skip


@pytest.mark.parametrize("train", [train_classifier, train_vae])
@pytest.mark.parametrize("place", [1, 2])  # within an epoch, and at its end
def test_a_changed_checkpoint_is_refused_in_a_sentence_or_does_no_harm(images, train, place):
    kept = []
    train(images, on_step=lambda copy: kept.append(copy()))
    whole, said, gone_on = kept[place], [], 0
    changed = [
        replace(whole, tensors={**whole.tensors, name: value})
        for name, tensor in whole.tensors.items()
        for value in change(tensor)
    ] + [
        replace(whole, numbers={**whole.numbers, name: value})
        for name in whole.numbers
        for value in VALUES
    ]
    for one in changed[place - 1 :: 2]:  # half of them here, half there
        tensors = {name: value for name, value in one.tensors.items() if value is not None}
        try:
            train(images, resume=Checkpoint(tensors, one.numbers))
        except ValueError as error:
            said.append(str(error))
        else:
            gone_on += 1
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in said)
    assert len(said) > 0.35 * len(changed)
    assert gone_on > 0
