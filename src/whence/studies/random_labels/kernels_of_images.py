"""The part of the study on kernels and on the network of theorem 1."""

from typing import Any, NamedTuple

import torch

from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.randomise import RandomisedData, randomise_data
from whence.studies.random_labels.exact_network import build_exact_network
from whence.studies.random_labels.filtered import (
    cut_filters,
    gabor_features,
    random_filter_features,
)
from whence.studies.random_labels.gram import GramFit, choose_gram, fit_gram

PUBLISHED_GRAMS = {
    ("raw pixels", "Gaussian", False): "1.2% (MNIST), 46% (CIFAR-10)",
    ("Gabor", "Gaussian", False): "0.6% (MNIST)",
    ("random filters", "Gaussian", False): "17% (CIFAR-10)",
    ("random filters", "Gaussian", True): "15% (CIFAR-10)",
}
"""Test errors by features, kernel and regularisation; Zhang et al. (2017), section 5."""


class GramRow(NamedTuple):
    """A regression and what it does."""

    features: str
    kernel: str
    regularised: bool
    random_labels: bool
    fit: GramFit


class ExactRow(NamedTuple):
    """The network of theorem 1 on images: its size, and how far it is off what it must answer."""

    images: int
    pixels: int
    parameters: int
    label_error: float  # share of random labels that its rounded answers miss
    largest: float  # the largest miss of standard normal numbers


def try_grams(dataset: Dataset, filters: int, seed: int, kept: KeptParts) -> list[GramRow]:
    """Fit kernels on raw pixels, Gabor features and random filters, each as a kept part."""
    data = randomise_data(dataset, "as they are", 0.0, generator=make_generator(seed))
    noise = randomise_data(dataset, "as they are", 1.0, generator=make_generator(seed))
    tasks = [
        (features, kernel, regularised, False)
        for features in ("raw pixels", "Gabor", "random filters")
        for kernel in ("linear", "Gaussian")
        for regularised in (False, True)
    ]
    tasks.append(("raw pixels", "Gaussian", False, True))
    rows = []
    for features, kernel, regularised, random in tasks:
        name = f"gram-{features}-{kernel}-{regularised:d}-{random:d}-{seed}".replace(" ", "_")
        chosen = noise if random else data

        def compute(
            one: RandomisedData = chosen,
            asked: tuple[str, str, bool] = (features, kernel, regularised),
        ) -> dict[str, Any]:
            return try_gram(one, *asked, filters, seed)._asdict()

        fit = GramFit(**kept.do(name, compute))
        rows.append(GramRow(features, kernel, regularised, random, fit))
    return rows


def try_gram(
    data: RandomisedData, features: str, kernel: str, regularised: bool, filters: int, seed: int
) -> GramFit:
    """Fit one kernel; a Gaussian's width is chosen with true or random labels as they are given."""
    train, test = data.images, data.test_images
    if features == "Gabor":
        train, test = gabor_features(train), gabor_features(test)
    elif features == "random filters":
        bank = cut_filters(train, filters, generator=make_generator(seed))
        train, test = random_filter_features(train, bank), random_filter_features(test, bank)
    else:
        train, test = train.flatten(1), test.flatten(1)
    recipe = choose_gram(train, data.labels, gaussian=kernel == "Gaussian", ridge=regularised)
    return fit_gram(train, data.labels, test, data.test_labels, recipe)


def try_exact_network(dataset: Dataset, seed: int) -> ExactRow:
    """Build the network of theorem 1 for random labels, and for any numbers, of all images."""
    generator = make_generator(seed)
    points = dataset.train.images.flatten(1).unique(dim=0).double() / 255
    classes = len(dataset.train.class_names)
    labels = torch.randint(classes, (len(points),), generator=generator)
    numbers = torch.randn(len(points), generator=generator, dtype=torch.float64)
    network = build_exact_network(points, labels, generator=generator)
    other = build_exact_network(points, numbers, generator=generator)
    return ExactRow(
        len(points),
        points.shape[1],
        network.parameters,
        float((network(points).round() != labels).double().mean()),
        float((other(points) - numbers).abs().max()),
    )
