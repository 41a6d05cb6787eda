"""What is explained: a network, a second one that took no part, and an autoencoder."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.autoencoders import VAES
from whence.autoencoders.fit_vae import VAEPlan, fit_vae
from whence.autoencoders.vae import VAE
from whence.data.augment import to_float
from whence.models.classifier import Classifier
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator, seed_global
from whence.studies.parts.plain_network import draw_network
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

TEACHER_RECIPE = Recipe(optimizer="adam", learning_rate=2e-3, schedule="cosine", batch_size=64)


class SurrogateSizes(NamedTuple):
    """How large the study is.

    Attributes:
        encoder: of the explained network, by name.
        trained: training images, at most.
        epochs: of the network.
        vae_epochs: of the autoencoder.
        codes: numbers of a code.
        asked: test images that students answer for, at most.
        changed: test images that exemplars are searched for.
        anchored: test images that anchors are looked for.
        repeats: seeds of anchors and of LIME, over which stability is measured.
        longest: regions of an anchor, at most.
        fresh: variants on which a found rule is measured.
        times: how many more images than it knows the network is asked about for its students.
        seeds: from 0, of the networks.
    """

    encoder: str = "small_cnn"
    trained: int = 4000
    epochs: int = 15
    vae_epochs: int = 60
    codes: int = 16
    asked: int = 2000
    changed: int = 40
    anchored: int = 8
    repeats: int = 2
    longest: int = 8
    fresh: int = 1000
    times: int = 5
    seeds: int = 2


FULL_SURROGATES = SurrogateSizes(
    trained=60_000, asked=10_000, changed=500, anchored=100, repeats=5, fresh=5000, seeds=5
)

LARGER_SURROGATES = SurrogateSizes(vae_epochs=20, seeds=1)
"""For images that are not small: nearly all of the time goes into variants of them."""


class Explainable(NamedTuple):
    """Images, the network that is explained, another one, and an autoencoder of the images."""

    train: ImageSet
    test: ImageSet
    pixels: Tensor  # (N, C, H, W) of the training images, float in [0, 1]
    network: Classifier
    second: Classifier
    vae: VAE


def train_explainable(data: Dataset, sizes: SurrogateSizes, seed: int) -> Explainable:
    """Draw images and train both networks and the autoencoder."""
    generator = make_generator(seed)
    train = data.train.take(torch.randperm(len(data.train), generator=generator)[: sizes.trained])
    test = data.test.take(torch.randperm(len(data.test), generator=generator)[: sizes.asked])
    network = train_network(train, sizes, 2 * seed)
    second = train_network(train, sizes, 2 * seed + 1)
    vae = train_manifold(train, sizes, seed)
    return Explainable(train, test, to_float(train.images), network, second, vae)


def train_network(train: ImageSet, sizes: SurrogateSizes, seed: int) -> Classifier:
    """Train a network without a memory."""
    model = draw_network(sizes.encoder, train, seed)
    fit(model, train, recipe=TEACHER_RECIPE, plan=Plan(sizes.epochs, seed=seed))
    return model.requires_grad_(False)


def train_manifold(train: ImageSet, sizes: SurrogateSizes, seed: int) -> VAE:
    """Train an autoencoder; a tenth of the images says when to stop."""
    channels, height, width = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        vae: VAE = VAES["residual"]((channels, height, width), codes=sizes.codes)
    kept = len(train) // 10
    plan = VAEPlan(sizes.vae_epochs, seed=seed)
    fit_vae(vae, train.images[kept:], train.images[:kept], plan=plan)
    return vae.requires_grad_(False)
