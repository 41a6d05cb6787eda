"""The study: modules that explain each class, and how faithful, apart and local they are."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator
from whence.studies.concept_embedding.planted_parts import PART_NAMES, draw_part_images
from whence.studies.concept_embedding.report import report_embedding
from whence.studies.parts.concept_maps import (
    join_maps,
    map_unit,
    measure_apartness,
    measure_locality,
    show_highest,
)
from whence.studies.parts.explained_parts import (
    LAYER_WIDTH,
    LayerView,
    look_at_layer,
    train_layered,
    unit_of_layer,
)
from whence.studies.parts.explanation_module import (
    MODULE_LOSSES,
    choose_features,
    fit_module,
)
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, load_subject

SMALLEST_SIDE = 4
"""Pixels, of which two poolings leave one."""

EXPLAINERS = (*MODULE_LOSSES, "lasso")


class EmbeddingSizes(NamedTuple):
    """How large the study is.

    Attributes:
        trained: images that the network and the modules learn from.
        asked: images that they are measured on.
        epochs: of the network.
        steps: of each module.
        concepts: x-features of a module.
        mapped: images of each class that are explained, at most.
        units: units of the layer whose own locality is measured.
        area: share of the pixels that a mask shows.
        classes: that are explained, at most.
        seeds: from 0.
    """

    trained: int = 1200
    asked: int = 300
    epochs: int = 20
    steps: int = 400
    concepts: int = 5
    mapped: int = 16
    units: int = 16
    area: float = 0.2
    classes: int = 6
    seeds: int = 2


FULL_EMBEDDING = EmbeddingSizes(
    trained=12_000, asked=3000, steps=2000, mapped=200, units=64, seeds=5
)


class Embedding(Protocol):
    """A module: a few features of the layer's, and the answer from them."""

    @property
    def weights(self) -> Tensor:
        """Return by what each feature adds to the answer, `(n,)`."""

    def embed(self, features: Tensor) -> Tensor:
        """Return `(N, n)` of features `(N, Z)`."""

    def __call__(self, features: Tensor) -> Tensor:
        """Return the answer `(N,)`."""


class Setting(NamedTuple):
    """The network, what it knows, and images that it is asked about."""

    model: Classifier
    known: LayerView
    asked: LayerView
    scale: float


def concept_embedding(request: StudyRequest) -> Findings:
    """Explain a network's answers by a few features each, on planted parts or given images."""
    sizes = FULL_EMBEDDING if request.full else EmbeddingSizes()
    data = None if request.subject is None else load_subject(request)
    return embed_concepts(data, request, sizes)


def embed_concepts(data: Dataset | None, request: StudyRequest, sizes: EmbeddingSizes) -> Findings:
    """Do the study at some size; without images on planted parts, another draw for every seed.

    Raises:
        ValueError: if the images are smaller than the network takes.
    """
    if data is not None and min(data.train.images.shape[2:]) < SMALLEST_SIDE:
        height, width = data.train.images.shape[2:]
        raise ValueError(
            f"Images must be at least {SMALLEST_SIDE} pixels high and wide, those of {data.name} "
            f"are {height} x {width}; name larger ones."
        )
    seeds = request.list_seeds(sizes.seeds)
    about = {"data": "planted parts"} if data is None else identify_data(data)
    made_with = {**about, **sizes._asdict(), "seeds": name_seeds(seeds)}
    kept = KeptParts(request.out, "concept_embedding", made_with)
    parts = [kept.do(f"seed-{seed}", partial(explain_seed, data, sizes, seed)) for seed in seeds]
    return report_embedding(parts, made_with)


def explain_seed(data: Dataset | None, sizes: EmbeddingSizes, seed: int) -> dict[str, Any]:
    """Train a network and explain its classes."""
    setting = set_up(data, sizes, seed)
    classes = range(min(sizes.classes, setting.known.logits.shape[1]))
    found: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for label in classes:
        measured, shown = explain_class(setting, sizes, label, seed)
        found += measured
        pictures += shown
    right = setting.asked.logits.argmax(1)
    return {"classes": found, "pictures": pictures, "asked": len(right)}


def set_up(data: Dataset | None, sizes: EmbeddingSizes, seed: int) -> Setting:
    """Draw or take images, train the network, and look at its layer."""
    generator = make_generator(seed)
    known_parts = asked_parts = None
    if data is None:
        drawn, others = (draw_part_images(n, generator) for n in (sizes.trained, sizes.asked))
        train, test, known_parts, asked_parts = (
            drawn.images,
            others.images,
            drawn.parts,
            others.parts,
        )
    else:
        train, test = (
            draw_some(images, n, generator)
            for images, n in ((data.train, sizes.trained), (data.test, sizes.asked))
        )
    model = train_layered(train, epochs=sizes.epochs, seed=seed)
    known, scale = look_at_layer(model, train, known_parts)
    asked, _ = look_at_layer(model, test, asked_parts, scale)
    return Setting(model, known, asked, scale)


def draw_some(images: ImageSet, count: int, generator: torch.Generator) -> ImageSet:
    """Take some images by chance."""
    return images.take(torch.randperm(len(images), generator=generator)[:count])


def explain_class(
    setting: Setting, sizes: EmbeddingSizes, label: int, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Explain one class by every module; its measures, and pictures of one image."""
    model, known, asked, scale = setting
    answered = (asked.logits.argmax(1) == label).nonzero().squeeze(1)[: sizes.mapped]
    if len(answered) == 0:
        return [], []
    images = asked.images[answered]
    parts = None if asked.parts is None else asked.parts[answered]
    read = partial(read_class_logit, model, scale, label)
    (plain,) = map_reads(setting, [read], images)
    rows = [
        {
            "method": "Excitation Backprop",
            **measure_maps(plain[None], parts),
            "masked": keep_answer(model, images, plain, label, sizes.area),
        }
    ]
    for name in EXPLAINERS:
        module = make_module(name, known.features, known.logits[:, label], sizes, seed)
        concepts = module.embed(asked.features[answered])
        reads = [partial(read_x_feature, module, place) for place in range(concepts.shape[1])]
        maps = map_reads(setting, reads, images)
        joined = join_maps(maps, concepts * module.weights)
        rows.append(
            {
                "method": name,
                **measure_faithfulness(module, setting, label),
                **measure_maps(maps, parts),
                "masked": keep_answer(model, images, joined, label, sizes.area),
            }
        )
        if name == "SRAE":
            pictures = [show_concepts(images[0], plain[0], maps[:, 0], concepts[0], label)]
    if parts is not None:
        places = torch.randperm(LAYER_WIDTH, generator=make_generator(seed))[: sizes.units]
        reads = [partial(read_feature, place) for place in places.tolist()]
        units = map_reads(setting, reads, images)
        rows.append({"method": "units of the layer", **measure_maps(units, parts)})
    return [{"class": label, **row} for row in rows], pictures


def map_reads(
    setting: Setting, reads: Sequence[Callable[[Tensor], Tensor]], images: Tensor
) -> Tensor:
    """Map numbers that are read off scaled features of the layer; `(n, B, H, W)`."""
    units = [unit_of_layer(setting.model, read, setting.scale) for read in reads]
    return torch.stack([map_unit(unit, images) for unit in units])


def make_module(
    name: str, features: Tensor, answers: Tensor, sizes: EmbeddingSizes, seed: int
) -> Embedding:
    """Fit one of ``EXPLAINERS`` to the answers `(N,)`."""
    if name == "lasso":
        return choose_features(features, answers, sizes.concepts)
    return fit_module(
        features,
        answers,
        MODULE_LOSSES[name],
        concepts=sizes.concepts,
        steps=sizes.steps,
        seed=seed,
    )


def read_class_logit(model: Classifier, scale: float, label: int, features: Tensor) -> Tensor:
    """Read the logit of a class off scaled features `(B, Z)`."""
    logits: Tensor = model.head(features * scale)
    return logits[:, label]


def read_x_feature(module: Embedding, place: int, features: Tensor) -> Tensor:
    """Read one feature of a module off scaled features `(B, Z)`."""
    return module.embed(features)[:, place]


def read_feature(place: int, features: Tensor) -> Tensor:
    """Read one unit of the layer."""
    return features[:, place]


def measure_faithfulness(module: Embedding, setting: Setting, label: int) -> dict[str, float]:
    """Measure by how much the answer is missed, and how often the class stays the same.

    Qi et al. (2018), section 4.2: F_reg is the mean absolute difference in logits (lower is
    better), F_cls the share of images whose class stays when the module's answer takes the place of
    the logit.
    """
    found = {}
    for name, part in (("training", setting.known), ("test", setting.asked)):
        said = module(part.features)
        changed = part.logits.clone()
        changed[:, label] = said
        same = changed.argmax(1) == part.logits.argmax(1)
        found[f"F_reg {name}"] = float((said - part.logits[:, label]).abs().mean())
        found[f"F_cls {name}"] = float(same.double().mean())
    return found


def measure_maps(maps: Tensor, parts: Tensor | None) -> dict[str, float | None]:
    """Measure maps `(n, B, H, W)`: O1, O2, the mean locality, and how many features have one."""
    apart = measure_apartness(maps)
    found: dict[str, float | None] = {
        "O1": None if apart is None else apart[0],
        "O2": None if apart is None else apart[1],
        "live": float((maps.flatten(1).amax(1) > 0).sum()),
        "locality": None,
    }
    if parts is not None:
        local = [measure_locality(one, parts, len(PART_NAMES)) for one in maps]
        known = [one for one in local if one is not None]
        found["locality"] = sum(known) / len(known) if known else None
    return found


def keep_answer(model: Classifier, images: Tensor, maps: Tensor, label: int, area: float) -> float:
    """Measure how often the class stays when a map's highest pixels alone are shown."""
    with evaluating(model):
        said = model.logits(show_highest(images, maps, area)).argmax(1)
    return float((said == label).double().mean())


def show_concepts(
    image: Tensor, plain: Tensor, maps: Tensor, concepts: Tensor, label: int
) -> dict[str, Any]:
    """Lay out an image `(C, H, W)`, its map, and those of its two largest features."""
    order = concepts.argsort(descending=True)[:2]
    return {
        "class": label,
        "image": (image * 255).round().to(torch.uint8).tolist(),
        "plain": plain.tolist(),
        "concepts": [
            {"map": maps[place].tolist(), "value": float(concepts[place])}
            for place in order.tolist()
        ],
    }
