"""Recognition with few images of each class: spatial pyramids on maps of four kinds, and pixels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from whence.records.images import ImageSet
from whence.studies.deconvolutional.adaptive import (
    AdaptiveLayer,
    CodedImages,
    code_layers,
    rebuild_input,
    unpool_maps,
)
from whence.studies.deconvolutional.crops import prepare_images
from whence.studies.deconvolutional.layers import (
    DeconvolutionalLayer,
    infer_layer,
    infer_second,
    start_maps,
)
from whence.studies.deconvolutional.pyramid import (
    build_pyramids,
    classify_pyramids,
    describe_places,
    learn_places,
)
from whence.studies.deconvolutional.sparse import Continuation

STRONGEST_PROJECTED = 4
"""Activations of the last layer that are projected down, one at a time."""

PLACE_WORDS = 100
"""Of each kind of map."""

QUICK = Continuation(rounds=4, factor=5.0, iterations=2)
"""Of many images: fewer rounds."""

PIXEL_MAPS, FIRST_MAPS, SECOND_MAPS, LOW_MAPS, HIGH_MAPS = (
    "rectified differences of pixels",
    "2010, layer 1",
    "2010, layer 2",
    "2011, layer 1",
    "2011, layer 3",
)

KINDS_TOGETHER: Mapping[str, tuple[str, ...]] = {
    PIXEL_MAPS: (PIXEL_MAPS,),
    FIRST_MAPS: (FIRST_MAPS,),
    SECOND_MAPS: (SECOND_MAPS,),
    "2010, layers 1 + 2": (FIRST_MAPS, SECOND_MAPS),
    LOW_MAPS: (LOW_MAPS,),
    HIGH_MAPS: (HIGH_MAPS,),
    "2011, layers 1 + 3": (LOW_MAPS, HIGH_MAPS),
}
"""What is compared, and the maps that it reads."""


class LearnedNetworks(NamedTuple):
    """Both layers of 2010, and all layers of 2011 with switches."""

    first: DeconvolutionalLayer
    second: DeconvolutionalLayer
    adaptive: list[AdaptiveLayer]


def draw_classes(images: ImageSet, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw so many images of every class; `(N, 1, H, W)` prepared, and labels `(N,)`.

    Raises:
        ValueError: if a class has fewer.
    """
    chosen = []
    for number, name in enumerate(images.class_names):
        places = (images.labels == number).nonzero().flatten()
        if len(places) < each:
            raise ValueError(
                f"Every class must have {each} images, {name} has {len(places)}; name other images."
            )
        chosen.append(places[torch.randperm(len(places), generator=generator)[:each]])
    rows = torch.cat(chosen)
    return prepare_images(images.images[rows]), images.labels[rows]


def find_kinds_of_maps(networks: LearnedNetworks, images: Tensor) -> dict[str, list[Tensor]]:
    """Find maps of every kind; several of one image where several projections are averaged."""
    first, second, adaptive = networks
    low = infer_layer(first, images, start_maps(first, images), QUICK)
    high = infer_second(first, second, images, low, QUICK, turns=1)
    coded = code_layers(adaptive, images)
    return {
        PIXEL_MAPS: [take_differences(images)],
        FIRST_MAPS: [low],
        SECOND_MAPS: [high],
        LOW_MAPS: [coded[0].maps],
        HIGH_MAPS: project_strongest(adaptive, coded),
    }


def take_differences(images: Tensor) -> Tensor:
    """Take differences of neighbours in four directions, a map for each; no learning."""
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    moves = ((1, 2), (2, 1), (2, 2), (2, 0))
    _, _, height, width = images.shape
    found = [
        padded[:, :, down : down + height, across : across + width] - images
        for down, across in moves
    ]
    return torch.cat(found, 1)


def project_strongest(
    layers: Sequence[AdaptiveLayer], coded: Sequence[CodedImages]
) -> list[Tensor]:
    """Project the strongest activations of the last layer down to maps of the first, one by one.

    Zeiler et al. (2011), section 3: what an activation rebuilds of an image, as maps of the first
    layer, which spatial pyramids read.

    Returns:
        ``STRONGEST_PROJECTED`` tensors `(N, K, H, W)`.
    """
    maps = coded[-1].maps
    order = maps.flatten(1).abs().topk(STRONGEST_PROJECTED, dim=1).indices
    between = [one.switches for one in coded[1:-1]]
    found = []
    for rank in range(STRONGEST_PROJECTED):
        alone = torch.zeros_like(maps).flatten(1)
        place = order[:, rank : rank + 1]
        alone.scatter_(1, place, maps.flatten(1).gather(1, place))
        above = rebuild_input(layers[1:], between, alone.view_as(maps))
        found.append(unpool_maps(above, coded[0].switches))
    return found


def measure_recognition(
    networks: LearnedNetworks,
    train: ImageSet,
    test: ImageSet,
    amounts: Sequence[int],
    asked: int,
    generator: torch.Generator,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Measure the accuracy of every kind with so many images of each class.

    Args:
        networks: whose filters are given.
        train: images to learn from.
        test: images to ask about.
        amounts: images of each class to learn from.
        asked: images of each class to ask about.
        generator: of the images drawn.
        seed: of the words.

    Returns:
        By kind, by amount as text.
    """
    known, labels = draw_classes(train, max(amounts), generator)
    others, asked_labels = draw_classes(test, asked, generator)
    inner, outer = find_kinds_of_maps(networks, known), find_kinds_of_maps(networks, others)
    found: dict[str, dict[str, float]] = {name: {} for name in KINDS_TOGETHER}
    place = torch.cat([torch.arange(max(amounts))] * len(train.class_names))
    for amount in amounts:
        rows = place < amount
        pyramids = {}
        for kind in inner:
            described = [[describe_places(one) for one in some[kind]] for some in (inner, outer)]
            words = learn_places(torch.cat([one[rows] for one in described[0]]), PLACE_WORDS, seed)
            pyramids[kind] = [
                np.mean([build_pyramids(one, words) for one in some], axis=0) for some in described
            ]
        for name, kinds in KINDS_TOGETHER.items():
            found[name][str(amount)] = classify_pyramids(
                [pyramids[kind][0][rows.numpy()] for kind in kinds],
                labels[rows],
                [pyramids[kind][1] for kind in kinds],
                asked_labels,
            )
    return found
