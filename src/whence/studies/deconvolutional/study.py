"""The study: filters of both papers, what they rebuild, denoise and recognise."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.studies.deconvolutional.adaptive import code_layers, learn_adaptive, rebuild_input
from whence.studies.deconvolutional.crops import (
    CROP_SIDE,
    cut_crops,
    load_photos,
    prepare_images,
    split_smooth,
)
from whence.studies.deconvolutional.denoise import (
    NOISE_DEVIATION,
    denoise_first,
    denoise_patches,
    denoise_second,
    learn_patch_words,
    peak_ratio,
)
from whence.studies.deconvolutional.layers import (
    connect_maps,
    infer_layer,
    learn_layer,
    start_maps,
)
from whence.studies.deconvolutional.patterns import (
    measure_error,
    measure_orientation,
    measure_sharpness,
    show_second,
)
from whence.studies.deconvolutional.recognise import LearnedNetworks, measure_recognition
from whence.studies.deconvolutional.summary import summarise_deconvolution
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts, list_by_part
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, load_subject


class DeconvolutionSizes(NamedTuple):
    """How much is done.

    Attributes:
        crops: pieces that filters are learned from.
        maps: K of both layers of 2010.
        adaptive_maps: K of the three layers of 2011.
        epochs: of learning.
        steps: of ISTA in an epoch.
        denoised: pieces that noise is added to.
        amounts: images of each class to learn from.
        asked: images of each class to ask about.
    """

    crops: int
    maps: tuple[int, int]
    adaptive_maps: tuple[int, int, int]
    epochs: int
    steps: int
    denoised: int
    amounts: tuple[int, ...]
    asked: int


USUAL_DECONVOLUTION = DeconvolutionSizes(
    crops=30,
    maps=(9, 12),
    adaptive_maps=(10, 20, 30),
    epochs=8,
    steps=6,
    denoised=8,
    amounts=(15, 30),
    asked=10,
)

FULL_DECONVOLUTION = DeconvolutionSizes(
    crops=500,
    maps=(9, 45),
    adaptive_maps=(16, 50, 100),
    epochs=25,
    steps=10,
    denoised=100,
    amounts=(15, 30),
    asked=50,
)

FILTER_SIDES, ADAPTIVE_SIDES = (7, 5), (7, 6, 5)
"""Pixels of a side of the filters; those of 2011 give maps that can be halved."""

FIDELITIES, ADAPTIVE_FIDELITIES = (0.3, 1.0), (3.0, 3.0, 3.0)
"""Lambda of each layer."""

FIRST_TURNS = 2
"""Epochs of the first layer for each of the others: its filters start from noise."""

DENOISING_FIDELITIES = (2.0, 5.0, 10.0, 40.0)
"""Lambda, what an error counts, of the points of the curves."""

SHARPER_POWERS = {"layer 1, p = 2/3": 2 / 3, "layer 1, p = 1/2": 1 / 2}
"""Of the penalty, beside p = 1, which all else has."""

SHARPER_FIDELITIES = (20.0, 40.0, 100.0, 250.0)
"""Lambda with these: a small number costs more than with p = 1, so an error must count more."""

PATCH_PENALTIES = (0.4, 0.2, 0.1, 0.05)

DECONVOLUTION_SEEDS = 1


def deconvolutional(request: StudyRequest) -> Findings:
    """Learn from photos that scikit-learn ships, or from the images that were named."""
    return study_deconvolution(request, FULL_DECONVOLUTION if request.full else USUAL_DECONVOLUTION)


def study_deconvolution(request: StudyRequest, sizes: DeconvolutionSizes) -> Findings:
    """Learn both networks with every seed, and measure what they do."""
    dataset = load_subject(request, size=CROP_SIDE, channels=1)
    learned_from = "photos" if request.subject is None else dataset.name
    seeds = request.list_seeds(DECONVOLUTION_SEEDS)
    made_with = {
        "filters_from": learned_from,
        **identify_data(dataset),
        **sizes._asdict(),
        "seeds": name_seeds(seeds),
        "fidelities": (*FIDELITIES, *ADAPTIVE_FIDELITIES),
        "denoising": (*DENOISING_FIDELITIES, *SHARPER_FIDELITIES, *PATCH_PENALTIES),
    }
    kept = KeptParts(request.out, "deconvolutional", made_with)
    own = None if request.subject is None else dataset.train

    @functools.cache
    def networks(seed: int) -> tuple[Tensor, LearnedNetworks]:
        return learn_networks(own, sizes, seed)

    parts: dict[str, Callable[[int], dict[str, Any]]] = {
        "filters": lambda seed: measure_filters(networks(seed)[1]),
        "switches": lambda seed: measure_switches(*networks(seed), sizes, seed),
        "denoising": lambda seed: measure_denoising(own, networks(seed)[1], sizes, seed),
        "recognition": lambda seed: measure_recognition(
            networks(seed)[1],
            dataset.train,
            dataset.test,
            sizes.amounts,
            sizes.asked,
            make_generator(seed),
            seed,
        ),
    }
    return summarise_deconvolution(list_by_part(kept.do_each(parts, seeds)), made_with)


def draw_pieces(
    own: ImageSet | None, count: int, generator: torch.Generator, known: Tensor | None = None
) -> Tensor:
    """Draw pieces of photos, or images, as they are; `(N, 1, 32, 32)` in [0, 1].

    Args:
        own: the images; None for photos.
        count: how many.
        generator: of the draw.
        known: places of images that are not drawn.
    """
    if own is None:
        return cut_crops(load_photos(), count, generator)
    places = torch.randperm(len(own), generator=generator)
    if known is not None:
        places = places[~torch.isin(places, known)]
    return own.images[places[:count]].float() / 255


def learn_networks(
    own: ImageSet | None, sizes: DeconvolutionSizes, seed: int
) -> tuple[Tensor, LearnedNetworks]:
    """Learn both layers of 2010, and the three of 2011; with the pieces they were learned from."""
    generator = make_generator(seed)
    pieces = prepare_images(draw_pieces(own, sizes.crops, generator))
    low, high = sizes.maps
    learn = functools.partial(learn_layer, generator=generator)
    turns = FIRST_TURNS * sizes.epochs
    whole = torch.ones(low, 1)
    first = learn(pieces, whole, FILTER_SIDES[0], fidelity=FIDELITIES[0], epochs=turns)
    maps = infer_layer(first, pieces, start_maps(first, pieces))
    connected = connect_maps(high, low, 4, generator)
    second = learn(maps, connected, FILTER_SIDES[1], fidelity=FIDELITIES[1], epochs=sizes.epochs)
    adaptive = learn_adaptive(
        pieces,
        sizes.adaptive_maps,
        ADAPTIVE_SIDES,
        ADAPTIVE_FIDELITIES,
        epochs=sizes.epochs,
        steps=sizes.steps,
        switched=True,
        generator=generator,
    )
    return pieces, LearnedNetworks(first, second, adaptive)


def measure_filters(networks: LearnedNetworks) -> dict[str, Any]:
    """Measure whether filters have one orientation, and keep what they look like."""
    first, second = networks.first.filters, show_second(networks.first, networks.second)
    return {
        name: {
            "orientation": float(measure_orientation(patterns).median()),
            "pictures": patterns[:, 0].tolist(),
        }
        for name, patterns in (("layer 1", first), ("layer 2", second))
    }


def measure_switches(
    pieces: Tensor, networks: LearnedNetworks, sizes: DeconvolutionSizes, seed: int
) -> dict[str, Any]:
    """Measure what every layer rebuilds of the image, with switches and with means."""
    means = learn_adaptive(
        pieces,
        sizes.adaptive_maps,
        ADAPTIVE_SIDES,
        ADAPTIVE_FIDELITIES,
        epochs=sizes.epochs,
        steps=sizes.steps,
        switched=False,
        generator=make_generator(seed),
    )
    found: dict[str, Any] = {"images": pieces[:SHOWN_PIECES, 0].tolist()}
    for name, layers in (("switches", networks.adaptive), ("means", means)):
        coded = code_layers(layers, pieces)
        rebuilt = [
            rebuild_input(layers[:number], [one.switches for one in coded[: number - 1]], some.maps)
            for number, some in enumerate(coded, 1)
        ]
        found[name] = {
            "sharpness": [measure_sharpness(one, pieces) for one in rebuilt],
            "error": [measure_error(one, pieces) for one in rebuilt],
            "used": [float((one.maps != 0).float().mean()) for one in coded],
            "pictures": [one[:SHOWN_PIECES, 0].tolist() for one in rebuilt],
        }
    return found


SHOWN_PIECES = 5


def measure_denoising(
    own: ImageSet | None, networks: LearnedNetworks, sizes: DeconvolutionSizes, seed: int
) -> dict[str, Any]:
    """Add noise to other pieces, and measure what each code takes away of it."""
    generator = make_generator(seed + 1000)
    learned_from = None
    if own is not None:
        learned_from = torch.randperm(len(own), generator=make_generator(seed))[: sizes.crops]
    clean = draw_pieces(own, sizes.denoised, generator, learned_from)
    noisy = clean + NOISE_DEVIATION * torch.randn(clean.shape, generator=generator)
    known = split_smooth(draw_pieces(own, sizes.crops, make_generator(seed)))[1]
    first, second = networks.first, networks.second
    scaled, count = known / known.std(), len(first.filters)
    words = learn_patch_words(scaled, count, FILTER_SIDES[0], seed)
    curves = {
        "layer 1": [denoise_first(first, noisy, one) for one in DENOISING_FIDELITIES],
        "layer 2": [denoise_second(first, second, noisy, one) for one in DENOISING_FIDELITIES],
        **{
            name: [denoise_first(first, noisy, one, power) for one in SHARPER_FIDELITIES]
            for name, power in SHARPER_POWERS.items()
        },
        "patches": [denoise_patches(words, noisy, one) for one in PATCH_PENALTIES],
    }
    best = max(curves["layer 1"], key=lambda one: peak_ratio(one.images, clean))
    return {
        "noisy": peak_ratio(noisy, clean),
        "smooth": peak_ratio(split_smooth(noisy)[0], clean),
        "curves": {
            name: [{"ratio": peak_ratio(one.images, clean), "used": one.used} for one in some]
            for name, some in curves.items()
        },
        "words": words.words.reshape(-1, words.side, words.side).tolist(),
        "pictures": [
            some[:SHOWN_PIECES, 0].clamp(0, 1).tolist() for some in (clean, noisy, best.images)
        ],
    }
