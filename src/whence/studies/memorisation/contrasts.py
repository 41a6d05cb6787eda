"""The measurements on real and random data, each of which JSON can hold."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.memorisation.critical import LangevinSearch, find_critical
from whence.studies.memorisation.noisy import make_noisy, number_images
from whence.studies.memorisation.sensitivity import (
    average_pairs,
    divide_sensitivity,
    measure_sensitivity,
)
from whence.studies.parts.fit_labels import FittingRecipe, fit_labels
from whence.studies.parts.gini import measure_gini
from whence.studies.parts.plain_network import plain_layers
from whence.studies.parts.randomise import RandomisedData
from whence.training.loop import seeded

LEARNER_RATE = 0.02
"""Of learning, in all of these trainings."""


class Learner(NamedTuple):
    """How a network of two hidden layers is trained.

    Attributes:
        width: units of each layer.
        epochs: of the training.
        batch: images of a step.
        until_fitted: stop once all labels are fitted.
        dropped: share of the units that dropout leaves out.
        weight_decay: of SGD.
        noise: deviation of what is added to every pixel.
    """

    width: int
    epochs: int
    batch: int
    until_fitted: bool = False
    dropped: float = 0.0
    weight_decay: float = 0.0
    noise: float = 0.0

    def recipe(self) -> FittingRecipe:
        """Return how it is trained."""
        return FittingRecipe(
            LEARNER_RATE,
            self.epochs,
            1 if self.until_fitted else self.epochs,
            self.batch,
            self.weight_decay,
            noise=self.noise,
        )


def follow_sensitivity(
    dataset: Dataset, kind: str, own_classes: bool, learner: Learner, seed: int
) -> dict[str, Any]:
    """Follow the loss sensitivity of every training image, averaged from the first epoch on.

    Args:
        dataset: the true images and labels.
        kind: in ``NOISY_KINDS``, all of the images.
        own_classes: each image is a class of its own.
        learner: of the network.
        seed: of the random data and the training.

    Returns:
        The Gini coefficient after every epoch, and "pairs" `(K, K)`, by class and class of the
        image (None with a class for each image).
    """
    share = 0.0 if kind == "real" else 1.0
    data = make_noisy(dataset, kind, share, generator=make_generator(seed))
    classes = len(dataset.train.class_names)
    if own_classes:
        data, classes = number_images(data), len(data.images)
    ginis: list[float] = []
    total = torch.zeros(len(data.images))
    pairs = torch.zeros(classes, classes)
    with seeded(seed, torch.device("cpu")) as randomness:
        network = plain_layers(tuple(data.images.shape[1:]), classes, 2, width=learner.width)

        def look(_: int) -> None:
            total.add_(measure_sensitivity(network, data.images, data.labels))
            ginis.append(measure_gini(total))
            if not own_classes:
                parts = divide_sensitivity(network, data.images, data.labels)
                pairs.add_(average_pairs(parts, data.labels))

        fit_labels(network, data, learner.recipe(), randomness.generator, on_epoch=look)
    found = (pairs / learner.epochs).tolist()
    return {"gini": ginis, "pairs": None if own_classes else found}


def follow_critical(
    dataset: Dataset,
    kind: str,
    share: float,
    learner: Learner,
    search: LangevinSearch,
    every: int,
    seed: int,
) -> dict[str, Any]:
    """Follow training and validation accuracy, and the share of validation images near another.

    Args:
        dataset: the true images and labels; its test images are those for the validation.
        kind: in ``NOISY_KINDS``.
        share: of the training images that are replaced.
        learner: of the network.
        search: of critical samples.
        every: so many epochs, critical samples are searched; the first time after so many.
        seed: of the random data, the training and the search.
    """
    data = make_noisy(dataset, kind, share, generator=make_generator(seed))
    looked: dict[int, float] = {}
    with seeded(seed, torch.device("cpu")) as randomness:
        network = plain_layers(
            tuple(data.images.shape[1:]), len(dataset.train.class_names), 2, width=learner.width
        )

        def look(epoch: int) -> None:
            if epoch % every == 0:
                near = find_critical(
                    network, data.test_images, search, generator=make_generator(seed)
                )
                looked[epoch] = float(near.double().mean())

        curve = fit_labels(network, data, learner.recipe(), randomness.generator, on_epoch=look)
    return {
        "train": [1 - error for error in curve.train_errors],
        "validation": [1 - error for error in curve.test_errors],
        "epochs_of_critical": list(looked),
        "critical": list(looked.values()),
    }


def count_easy(
    dataset: Dataset, kind: str, learner: Learner, runs: int, seed: int
) -> dict[str, Any]:
    """Train many networks for one epoch, and count how often each training image is wrong.

    Args:
        dataset: the true images and labels.
        kind: in ``NOISY_KINDS``, all of the images.
        learner: of the networks; its epochs are not looked at.
        runs: starts and orders of the images.
        seed: of the random data; the trainings of another seed are other ones.
    """
    share = 0.0 if kind == "real" else 1.0
    data = make_noisy(dataset, kind, share, generator=make_generator(seed))
    wrong = torch.zeros(len(data.images))
    shape, classes = tuple(data.images.shape[1:]), len(dataset.train.class_names)
    short = data._replace(test_images=data.test_images[:1], test_labels=data.test_labels[:1])
    for number in range(runs):
        with seeded(seed * runs + number, torch.device("cpu")) as randomness:
            network = plain_layers(shape, classes, 2, width=learner.width)
            recipe = learner._replace(epochs=1).recipe()
            fit_labels(network, short, recipe, randomness.generator)
        with torch.no_grad():
            wrong += network(data.images).argmax(1) != data.labels
    return {"rates": sorted((wrong / runs).tolist())}


def spread_of_rates(rates: Sequence[float], runs: int) -> float:
    """Divide the variance of rates by what independent runs alone would give: 1 without patterns.

    A rate is the mean of ``runs`` answers; if every image were as hard as any other, the variance
    would be p (1 - p) / runs.

    >>> spread_of_rates([0.0, 1.0], 100)
    100.0
    """
    values = torch.tensor(rates, dtype=torch.float64)
    middle = float(values.mean())
    alone = middle * (1 - middle) / runs
    return float(values.var(correction=0)) / alone if alone else 1.0


def time_to_fit(
    dataset: Dataset, kind: str, share: float, learner: Learner, seed: int
) -> dict[str, Any]:
    """Train until all labels are fitted; the epochs that takes, and the validation accuracy."""
    data = make_noisy(dataset, kind, share, generator=make_generator(seed))
    curve = train_learner(data, len(dataset.train.class_names), learner, seed)
    return {
        "epochs": curve["fitted"],
        "validation": 1 - min(curve["test_errors"]),
        "last_validation": 1 - curve["test_errors"][-1],
    }


def train_held_back(dataset: Dataset, kind: str, learner: Learner, seed: int) -> dict[str, Any]:
    """Train with something that holds the network back; how much of the labels it learns."""
    share = 0.0 if kind == "real" else 1.0
    data = make_noisy(dataset, kind, share, generator=make_generator(seed))
    curve = train_learner(data, len(dataset.train.class_names), learner, seed)
    return {"train": 1 - curve["train_errors"][-1], "validation": 1 - curve["test_errors"][-1]}


def train_learner(
    data: RandomisedData, classes: int, learner: Learner, seed: int
) -> dict[str, Any]:
    """Train a network of two layers; its curve."""
    with seeded(seed, torch.device("cpu")) as randomness:
        network = plain_layers(
            tuple(data.images.shape[1:]),
            classes,
            2,
            width=learner.width,
            dropped=learner.dropped,
        )
        curve = fit_labels(network, data, learner.recipe(), randomness.generator)
    return curve._asdict()
