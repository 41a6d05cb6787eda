"""Which networks are trained on what, and each training as a part that is kept."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.parts.fit_labels import FittingRecipe, fit_labels
from whence.studies.parts.randomise import PIXEL_CHANGES, RandomisedData, randomise_data
from whence.studies.random_labels.networks import (
    FIRST_RATES,
    RANDOM_LABEL_NETWORKS,
    RATE_WITHOUT_NORMALISATION,
)
from whence.training.loop import seeded

WEIGHT_DECAY = 5e-4


class FittingSize(NamedTuple):
    """How much is done.

    Attributes:
        images: to be fitted by each network; None is all.
        tests: that it is asked about; None is all.
        wide: share of the published channels of Inception.
        epochs: at most.
        least: epochs that are done even if all labels were fitted before.
        batch: images of a step.
        grams: images of a Gram matrix.
        filters: that are cut out of images.
    """

    images: int | None
    tests: int | None
    wide: float
    epochs: int
    least: int
    batch: int
    grams: int | None
    filters: int


class Fitting(NamedTuple):
    """One training: a network, what its images and labels are, and what holds it back."""

    network: str
    pixels: str = "as they are"
    share: float = 0.0
    crop: bool = False
    weight_decay: bool = False
    dropout: bool = False
    normalise: bool = True

    def describe_data(self) -> str:
        """Say what the images and labels are."""
        if self.pixels != "as they are":
            return f"{self.pixels} pixels"
        if self.share in (0, 1):
            return "random labels" if self.share else "true labels"
        return f"{self.share:.0%} of the labels random"

    def describe_regularisers(self) -> str:
        """Say what holds it back."""
        named = {"crop": self.crop, "weight decay": self.weight_decay, "dropout": self.dropout}
        words = [word for word, given in named.items() if given]
        words += [] if self.normalise else ["no BatchNorm"]
        return ", ".join(words) or "none"

    def name_part(self, seed: int) -> str:
        """Name the file that keeps it."""
        words = f"{self.network}-{self.describe_data()}-{self.describe_regularisers()}-{seed}"
        return "".join(one if one.isalnum() else "_" for one in words)


PUBLISHED_ERRORS: Mapping[Fitting, float] = MappingProxyType(
    {
        Fitting("Inception", crop=True, weight_decay=True): 0.1095,
        Fitting("Inception", crop=True): 0.1069,
        Fitting("Inception", weight_decay=True): 0.1397,
        Fitting("Inception"): 0.1425,
        Fitting("Inception", share=1.0): 0.9022,
        Fitting("Inception", weight_decay=True, normalise=False): 0.17,
        Fitting("Inception", normalise=False): 0.18,
        Fitting("Inception", share=1.0, normalise=False): 0.8988,
        Fitting("AlexNet", crop=True, weight_decay=True): 0.1878,
        Fitting("AlexNet", crop=True): 0.2034,
        Fitting("AlexNet", weight_decay=True): 0.2264,
        Fitting("AlexNet"): 0.2393,
        Fitting("AlexNet", share=1.0): 0.9014,
        Fitting("MLP 3x512", weight_decay=True): 0.4665,
        Fitting("MLP 3x512"): 0.4761,
        Fitting("MLP 3x512", share=1.0): 0.8952,
        Fitting("MLP 1x512", weight_decay=True): 0.4961,
        Fitting("MLP 1x512"): 0.4949,
        Fitting("MLP 1x512", share=1.0): 0.8939,
    }
)
"""Test errors on CIFAR-10 that were published: Zhang et al. (2017), table 1."""

HELD_BACK = (
    *(one for one in PUBLISHED_ERRORS if one.describe_regularisers() != "none"),
    Fitting("AlexNet", dropout=True),
    Fitting("MLP 3x512", dropout=True),
    Fitting("AlexNet", share=1.0, weight_decay=True),
    Fitting("AlexNet", share=1.0, dropout=True),
    Fitting("AlexNet", share=1.0, crop=True),
)
"""Trainings with regularisers: those of table 1, with dropout, and on random labels."""

LABEL_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of random labels that the whole study goes through."""


class Fitted(NamedTuple):
    """What the seeds of one training found, averaged."""

    train_error: float
    test_error: float
    best_test_error: float  # on the way: what early stopping could gain
    epochs: float | None  # until all labels were fitted, None if one seed did not
    losses: list[float]  # of the first seed, an epoch each
    test_errors: list[float]  # the same


def list_fittings(networks: Sequence[str], shares: Sequence[float]) -> list[Fitting]:
    """List trainings without regularisers: shares of random labels, and changed pixels."""
    return [
        fitting
        for name in networks
        for fitting in (
            *(Fitting(name, share=share) for share in shares),
            *(Fitting(name, pixels) for pixels in PIXEL_CHANGES if pixels != "as they are"),
        )
    ]


def train_fitting(
    fitting: Fitting, dataset: Dataset, size: FittingSize, seed: int, device: str
) -> dict[str, Any]:
    """Train one network once; what JSON can hold of its curve.

    Random labels and pixels are the same for all networks of a seed.
    """
    data = RandomisedData(
        *(
            one.to(device)
            for one in randomise_data(
                dataset, fitting.pixels, fitting.share, generator=make_generator(seed)
            )
        )
    )
    recipe = FittingRecipe(
        FIRST_RATES[fitting.network] if fitting.normalise else RATE_WITHOUT_NORMALISATION,
        size.epochs,
        size.least,
        size.batch,
        WEIGHT_DECAY if fitting.weight_decay else 0.0,
        fitting.crop,
    )
    with seeded(seed, torch.device(device)) as randomness:
        network = RANDOM_LABEL_NETWORKS[fitting.network](
            tuple(data.images.shape[1:]),
            len(dataset.train.class_names),
            wide=size.wide,
            normalise=fitting.normalise,
            dropout=fitting.dropout,
        ).to(device)
        curve = fit_labels(network, data, recipe, randomness.generator)
    return curve._asdict()


def average_fits(found: Sequence[Mapping[str, Any]]) -> Fitted:
    """Average what ``train_fitting`` found with each seed: least training, last test error."""
    epochs = [one["fitted"] for one in found]
    return Fitted(
        fmean(min(one["train_errors"]) for one in found),
        fmean(one["test_errors"][-1] for one in found),
        fmean(min(one["test_errors"]) for one in found),
        None if None in epochs else fmean(epochs),
        list(found[0]["losses"]),
        list(found[0]["test_errors"]),
    )
