"""What the study measures of one network, one instrument at a time."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.encoders.at_layers import watch_layers
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.studies.concepts.blocks import BLOCK_NAMES, TrainedBlocks
from whence.studies.concepts.directions import (
    compare_scores,
    fit_directions,
    fit_random_directions,
)
from whence.studies.concepts.listen import find_class_slopes, read_depths
from whence.studies.concepts.planting import (
    DOTS,
    STRIPES,
    PlantedImages,
    plant_bias,
    plant_in,
    plant_stripes,
)
from whence.studies.concepts.prediction_difference import (
    OUTER,
    fill_by_others,
    fill_by_surroundings,
    find_differences,
    learn_patches,
)
from whence.studies.concepts.probing import measure_probes
from whence.studies.concepts.stethoscope import (
    LISTENED_EPOCHS,
    LISTENING,
    encode_listened,
    probe_again,
    train_listened,
)
from whence.studies.concepts.svcca import compare_pairs, trace_convergence
from whence.studies.concepts.units import detect_by_units, find_best_unit, overlap_units

PROBED_GRID, COMPARED_GRID = 2, 3
"""Fields of a side whose means probes read, and layers are compared by."""

AGREEMENT = 0.9
"""Share of the training images that have dots exactly where their class says so."""

RANDOM_IMAGES = "random images"


class ConceptSizes(NamedTuple):
    """How much is done: images, epochs, directions, images of a direction, explained images."""

    trained: int
    asked: int
    epochs: int
    draws: int
    drawn: int
    explained: int


class PlantedSetting(NamedTuple):
    """Images without what is planted, and the same with it."""

    base: ImageSet
    other: ImageSet
    train: PlantedImages
    test: PlantedImages


def plant_setting(base: ImageSet, other: ImageSet, seed: int) -> PlantedSetting:
    """Plant textures in training and test images."""
    generator = make_generator(seed)
    train, test = (plant_stripes(some, generator) for some in (base, other))
    return PlantedSetting(base, other, train, test)


def measure_directions(
    model: Classifier, setting: PlantedSetting, sizes: ConceptSizes, seed: int
) -> dict[str, Any]:
    """Test stripes, dots and random images as concepts of the class of stripes, in every layer."""
    generator = make_generator(seed)
    everywhere = torch.ones(len(setting.other), dtype=torch.bool)
    pictures = {
        name: plant_in(setting.other, chosen, generator)[0]
        for name, chosen in {
            STRIPES: {STRIPES: everywhere},
            DOTS: {DOTS: everywhere},
            RANDOM_IMAGES: {},
        }.items()
    }
    given = {name: read_depths(model, BLOCK_NAMES, some) for name, some in pictures.items()}
    rows = setting.test.having(STRIPES)
    asked = setting.test.images.images[rows], setting.test.images.labels[rows]
    slopes = find_class_slopes(model, BLOCK_NAMES, *asked)
    found: dict[str, Any] = {}
    for layer in BLOCK_NAMES:
        others = given[RANDOM_IMAGES][layer].flatten(1)
        amount = sizes.draws, sizes.drawn
        random = fit_random_directions(others, *amount, generator)
        towards = {
            name: fit_directions(given[name][layer].flatten(1), others, *amount, generator)
            for name in (STRIPES, DOTS)
        }
        towards[RANDOM_IMAGES] = fit_random_directions(others, *amount, generator)
        found[layer] = {
            name: compare_scores(slopes[layer], some, random)._asdict()
            for name, some in towards.items()
        }
    return found


def measure_units(model: Classifier, setting: PlantedSetting, seed: int) -> dict[str, Any]:
    """Find the unit of each layer that goes best with each texture, beside a direction."""
    maps = read_maps(model, setting.test.images.images)
    found: dict[str, Any] = {}
    for layer, given in maps.items():
        activity, means = given.flatten(2).amax(2), given.flatten(2).mean(2)
        found[layer] = {}
        for name in (STRIPES, DOTS):
            present, masks = setting.test.having(name), setting.test.masks[name]
            best = find_best_unit(activity, present, overlap_units(given, masks))
            precisions = detect_by_units(activity, present)
            found[layer][name] = {
                **best._asdict(),
                "best_precision": float(precisions.max()),
                "middle_precision": float(precisions.median()),
                "direction_precision": detect_by_direction(means, present, seed),
                "base_rate": float(present.float().mean()),
            }
    return found


def read_maps(model: Classifier, images: Tensor) -> dict[str, Tensor]:
    """Compute the whole maps `(N, D, h, w)` of every layer."""
    with torch.no_grad():
        found = watch_layers(model.encoder, model.normalise(images), BLOCK_NAMES)
    return {name: found[name] for name in BLOCK_NAMES}


def detect_by_direction(means: Tensor, present: Tensor, seed: int) -> float:
    """Compute the average precision of directions on images that they were not fitted to.

    Both halves of the images `(N, D)` take their turn.
    """
    generator = make_generator(seed)
    scores = torch.empty(len(means))
    halves = torch.randperm(len(means), generator=generator).tensor_split(2)
    for asked, known in (halves, halves[::-1]):
        flags = present[known]
        rows = means[known]
        towards = fit_directions(rows[flags], rows[~flags], 1, len(rows), generator)[0].towards
        scores[asked] = means[asked] @ towards
    return float(detect_by_units(scores[:, None], present)[0])


def measure_layers(trained: TrainedBlocks, setting: PlantedSetting, seed: int) -> dict[str, Any]:
    """Fit probes to every layer, before and after training, and compare layers and epochs."""
    model, test = trained.model, setting.test.images
    errors = {}
    for name, encoder in (("untrained", trained.epochs[0]), ("trained", trained.epochs[-1])):
        known, asked = (
            read_depths(model, BLOCK_NAMES, some.images, encoder=encoder, grid=PROBED_GRID)
            for some in (setting.train.images, test)
        )
        labels = setting.train.images.labels, test.labels
        classes = len(test.class_names)
        errors[name] = measure_probes(known, labels[0], asked, labels[1], classes, seed)
    epochs = [read_compared(model, test, encoder) for encoder in trained.epochs]
    return {
        "errors": errors,
        "convergence": trace_convergence(epochs, BLOCK_NAMES),
        "layers": compare_pairs(epochs[-1], epochs[-1], BLOCK_NAMES),
    }


def read_compared(
    model: Classifier, test: ImageSet, encoder: torch.nn.Module
) -> Mapping[str, Tensor]:
    """Compute what layers are compared by."""
    return read_depths(model, BLOCK_NAMES, test.images, encoder=encoder, grid=COMPARED_GRID)


def measure_networks(
    one: TrainedBlocks, other: TrainedBlocks, setting: PlantedSetting
) -> dict[str, Any]:
    """Compare the layers of two networks on the images of one setting."""
    test = setting.test.images
    first, second = (read_compared(some.model, test, some.epochs[-1]) for some in (one, other))
    return {"layers": compare_pairs(first, second, BLOCK_NAMES)}


def measure_stethoscope(
    setting: PlantedSetting, how: str, sizes: ConceptSizes, seed: int
) -> dict[str, Any]:
    """Train with dots that go with the classes, and see what the features know of them."""
    generator = make_generator(seed)
    biased = plant_bias(setting.base, AGREEMENT, generator)
    known, asked = (plant_bias(some, 0.5, generator) for some in (setting.base, setting.other))
    network = train_listened(
        biased.images, biased.having(DOTS), LISTENING[how], max(sizes.epochs, LISTENED_EPOCHS), seed
    )
    features = [encode_listened(network, some.images.images) for some in (known, asked)]
    flags = [some.having(DOTS) for some in (known, asked)]
    with torch.no_grad():
        answers = network.head(features[1]).argmax(1)
        heard = network.branch(features[1]).argmax(1).bool()
    return {
        "accuracy": float((answers == asked.images.labels).float().mean()),
        "branch": float((heard == flags[1]).float().mean()),
        "again": probe_again(features[0], flags[0], features[1], flags[1], seed),
    }


def measure_differences(
    model: Classifier, setting: PlantedSetting, sizes: ConceptSizes, seed: int
) -> dict[str, Any]:
    """Find which pixels of striped images speak for that class, with two kinds of fillings."""
    generator, test = make_generator(seed), setting.test
    others = to_float(setting.train.images.images)
    normal = learn_patches(others, OUTER)
    rows = test.having(STRIPES).nonzero().flatten()[: sizes.explained]
    striped, classes = len(setting.base.class_names), len(test.images.class_names)

    def ask(images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = model(images).softmax(1)[:, striped]
            return found

    kept: dict[str, Any] = {"images": [], "masks": [], "marginal": [], "conditional": []}
    for row in rows.tolist():
        image = to_float(test.images.images[row])
        fillings = {
            "marginal": fill_by_others(others, generator),
            "conditional": fill_by_surroundings(normal, image, generator),
        }
        kept["images"].append(image[0].tolist())
        kept["masks"].append(test.masks[STRIPES][row].tolist())
        for name, fill in fillings.items():
            bits = find_differences(ask, image, fill, total=len(others), classes=classes)
            kept[name].append(bits.tolist())
    return kept
