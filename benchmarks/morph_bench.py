"""What the benchmarks of morphing measure: two runs, an autoencoder, and images to be morphed."""

import argparse
import time
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

import whence
from whence.autoencoders.saved_vae import load_vae
from whence.autoencoders.vae import VAE
from whence.models.classifier import Classifier
from whence.morphing import OTHERS
from whence.morphing.code import Codes, find_codes
from whence.morphing.interpolate import decode_path, radial
from whence.morphing.others import Asked, Others
from whence.morphing.stored_codes import StoredCodes, store_codes
from whence.morphing.walk import NORM_WEIGHTS, MorphPlan
from whence.records.images import ImageSet
from whence.runs.finished import read_settings
from whence.runs.images import load_data
from whence.studies.parts.class_autoencoders import Autoencoders, train_autoencoders

PIXELS = 50
"""Numbers of an image, drawn by chance, that the correlation by pixel looks at."""


@dataclass(frozen=True)
class Bench:
    """What is measured, and on which images; images and labels on the CPU."""

    model: Classifier
    second: Classifier
    vae: VAE
    train: ImageSet
    test: ImageSet  # all test images
    shown: ImageSet  # those that were drawn
    plan: MorphPlan
    seed: int

    @property
    def draws(self) -> torch.Generator:
        """Return a fresh generator of the seed."""
        return torch.Generator().manual_seed(self.seed)

    @property
    def some_pixels(self) -> Tensor:
        """Return the places of the numbers of an image that the correlation by pixel looks at."""
        channels, height, width = self.model.image_shape
        return torch.randperm(channels * height * width, generator=self.draws)[:PIXELS]

    @cached_property
    def stored(self) -> StoredCodes:
        """Encode the training images, once."""
        return store_codes(
            self.vae,
            self.train.images,
            self.train.labels,
            classes=len(self.train.class_names),
            generator=self.draws,
        )

    @cached_property
    def codes(self) -> Codes:
        """Find the codes of the images that were drawn, once."""
        return find_codes(self.model, self.vae, self.shown.images, generator=self.draws)

    @cached_property
    def asked(self) -> Asked:
        """Ask for the way to the second best class, of the images that have a code."""
        rows = self.codes.found
        return Asked(self.shown.images[rows], self.codes.codes[rows], self.codes.classes[rows])

    @cached_property
    def morphs(self) -> Others:
        """Morph those codes, once."""
        made: Others = OTHERS.find("morph")(
            self.model, self.vae, self.asked, self.stored, plan=self.plan
        )
        return made

    @cached_property
    def autoencoders(self) -> Autoencoders:
        """Train those of IM1 and IM2, once."""
        started = time.process_time()
        trained = train_autoencoders(
            self.train.images,
            self.train.labels,
            classes=len(self.train.class_names),
            seed=self.seed,
        )
        print(
            f"\n(autoencoders of IM1 and IM2: {time.process_time() - started:.0f} s of processor)"
        )
        return trained


def load_bench(options: argparse.Namespace, device: str) -> Bench:
    """Load everything and draw the images.

    Raises:
        ValueError: if the two runs are of different images or classes.
    """
    model, second = (whence.load(folder, device=device) for folder in (options.run, options.second))
    for name in ("image_shape", "class_names"):
        one, two = getattr(model, name), getattr(second, name)
        if tuple(one) != tuple(two):
            raise ValueError(f"Both runs must have the same {name}, got {one} and {two}.")
    dataset = load_data(read_settings(options.run))
    order = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(options.seed))
    weight = options.weight
    if weight is None:
        weight = NORM_WEIGHTS.get(read_settings(options.run).data, MorphPlan.weight)
    return Bench(
        model=model,
        second=second,
        vae=load_vae(options.vae, device),
        train=dataset.train,
        test=dataset.test,
        shown=dataset.test.take(order[: options.images]),
        plan=MorphPlan(
            weight=weight,
            norm=options.norm,
            steps=options.steps,
            lead_after=options.lead_after if options.lead_after >= 0 else None,
        ),
        seed=options.seed,
    )


def decode_way(bench: Bench, start: Tensor, end: Tensor) -> Tensor:
    """Decode `(B, S, C, H, W)` the radial ways between codes."""
    device = bench.vae.variance.device
    return decode_path(bench.vae, radial(start.to(device), end.to(device)))
