"""What the study looks at: two networks, an autoencoder, and modules of x-features."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.data.augment import to_float
from whence.models.classifier import Classifier
from whence.morphing.stored_codes import StoredCodes, store_codes
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator
from whence.studies.parts.explained_parts import look_at_layer, train_layered
from whence.studies.parts.explanation_module import (
    MODULE_LOSSES,
    ExplanationModule,
    fit_module,
)
from whence.studies.parts.teachers import SurrogateSizes, train_manifold
from whence.studies.path_on_activations.pair_generator import PairPlan


class PathSizes(NamedTuple):
    """How large the study is.

    Attributes:
        trained: training images, at most.
        epochs: of each network.
        vae_epochs: of the autoencoder, at most.
        codes: numbers of a code.
        concepts: x-features of each class.
        module_steps: of each module.
        paths: test images whose paths are looked at.
        path_steps: images on a path.
        mask_steps: of the thesis, of the search of a mask.
        attributed: features of a mask that are shown by attribution.
        morphed: test images of the pair that are turned into the other class, at most.
        pair: how the GAN is trained.
        judge_steps: of the autoencoders that judge realism.
        seeds: from 0.
    """

    trained: int = 4000
    epochs: int = 15
    vae_epochs: int = 60
    codes: int = 16
    concepts: int = 5
    module_steps: int = 800
    paths: int = 24
    path_steps: int = 40
    mask_steps: int = 3000
    attributed: int = 5
    morphed: int = 60
    pair: PairPlan = PairPlan(1200)
    judge_steps: int = 500
    seeds: int = 2


FULL_PATHS = PathSizes(
    trained=60_000,
    codes=100,
    module_steps=2000,
    paths=200,
    path_steps=100,
    morphed=1000,
    pair=PairPlan(20_000),
    seeds=5,
)

LARGER_PATHS = PathSizes(
    vae_epochs=20,
    module_steps=400,
    path_steps=30,
    pair=PairPlan(1000, batch=32, width=16),
    seeds=1,
)
"""For images that are not small."""


class Learned(NamedTuple):
    """Images and what was learned from them.

    Attributes:
        train: images that everything learns from.
        test: images that are asked about.
        pixels: `(N, C, H, W)` of the training images, float in [0, 1].
        network: that is explained.
        second: another one, which takes no part.
        vae: the autoencoder.
        stored: the codes of the training images.
        modules: of the concept embedding, one per class.
        scale: that the features the modules see are divided by.
    """

    train: ImageSet
    test: ImageSet
    pixels: Tensor
    network: Classifier
    second: Classifier
    vae: VAE
    stored: StoredCodes
    modules: tuple[ExplanationModule, ...]
    scale: float


def learn_paths(data: Dataset, sizes: PathSizes, seed: int) -> Learned:
    """Draw images; train both networks, the autoencoder and one module per class."""
    generator = make_generator(seed)
    train = data.train.take(torch.randperm(len(data.train), generator=generator)[: sizes.trained])
    test = data.test.take(torch.randperm(len(data.test), generator=generator))
    network, second = (
        train_layered(train, epochs=sizes.epochs, seed=own) for own in (2 * seed, 2 * seed + 1)
    )
    vae = train_manifold(
        train, SurrogateSizes(vae_epochs=sizes.vae_epochs, codes=sizes.codes), seed
    )
    stored = store_codes(
        vae, train.images, train.labels, classes=len(train.class_names), generator=generator
    )
    known, scale = look_at_layer(network, train, None)
    modules = tuple(
        fit_module(
            known.features,
            known.logits[:, label],
            MODULE_LOSSES["SRAE"],
            concepts=sizes.concepts,
            steps=sizes.module_steps,
            seed=seed,
        )
        for label in range(len(train.class_names))
    )
    pixels = to_float(train.images)
    return Learned(train, test, pixels, network, second, vae, stored, modules, scale)
