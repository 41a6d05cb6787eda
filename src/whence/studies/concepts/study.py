"""The study: six instruments that look for planted concepts, and what each should find."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from whence.seeds import make_generator
from whence.studies.concepts.blocks import TrainedBlocks, train_blocks
from whence.studies.concepts.measure import (
    ConceptSizes,
    PlantedSetting,
    measure_differences,
    measure_directions,
    measure_layers,
    measure_networks,
    measure_stethoscope,
    measure_units,
    plant_setting,
)
from whence.studies.concepts.of_run import look_for_concepts
from whence.studies.concepts.planting import PLANTED_SIDE
from whence.studies.concepts.stethoscope import LISTENING
from whence.studies.concepts.summary import summarise_concepts
from whence.studies.parts.fewer_images import draw_part
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts, list_by_part
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, is_run, load_subject

USUAL_CONCEPT_SIZES = ConceptSizes(
    trained=1500, asked=500, epochs=8, draws=50, drawn=60, explained=20
)

FULL_CONCEPT_SIZES = ConceptSizes(
    trained=60_000, asked=10_000, epochs=30, draws=500, drawn=60, explained=100
)
"""500 directions are Kim et al.'s, all images and more epochs those of the others."""

CONCEPT_SEEDS = 3


def concepts(request: StudyRequest) -> Findings:
    """Look for planted concepts in networks of the study, or for given ones in a user's run.

    Raises:
        ValueError: if a run was named without a concept, or a concept without a run.
    """
    if is_run(request.subject):
        return look_for_concepts(request)
    if request.concepts:
        raise ValueError(
            "--concept is looked for in a run: whence study concepts RUN --concept FOLDER."
        )
    return study_planted(request, FULL_CONCEPT_SIZES if request.full else USUAL_CONCEPT_SIZES)


def study_planted(request: StudyRequest, sizes: ConceptSizes) -> Findings:
    """Plant concepts, train, and measure with every instrument and seed."""
    dataset = load_subject(request, size=PLANTED_SIDE, channels=1)
    generator = make_generator(0)
    base, other = (
        draw_part(some, count, generator)
        for some, count in ((dataset.train, sizes.trained), (dataset.test, sizes.asked))
    )
    seeds = request.list_seeds(CONCEPT_SEEDS)
    made_with = {
        **identify_data(replace(dataset, train=base, test=other)),
        **sizes._asdict(),
        "seeds": name_seeds(seeds),
    }
    kept = KeptParts(request.out, "concepts", made_with)
    setting = functools.cache(functools.partial(plant_setting, base, other))

    @functools.cache
    def network(seed: int) -> TrainedBlocks:
        return train_blocks(setting(seed).train.images, sizes.epochs, seed)

    found = measure_seeds(kept, network, setting, sizes, seeds)
    return summarise_concepts(found, made_with)


def measure_seeds(
    kept: KeptParts,
    network: Callable[[int], TrainedBlocks],
    setting: Callable[[int], PlantedSetting],
    sizes: ConceptSizes,
    seeds: Sequence[int],
) -> dict[str, list[dict[str, Any]]]:
    """Do every part that is not there yet; by instrument, what was found with each seed."""
    instruments: dict[str, Callable[[int], dict[str, Any]]] = {
        "directions": lambda seed: measure_directions(
            network(seed).model, setting(seed), sizes, seed
        ),
        "units": lambda seed: measure_units(network(seed).model, setting(seed), seed),
        "layers": lambda seed: measure_layers(network(seed), setting(seed), seed),
        "differences": lambda seed: measure_differences(
            network(seed).model, setting(seed), sizes, seed
        ),
        **{
            f"stethoscope {how}": functools.partial(listen_with, setting, how, sizes)
            for how in LISTENING
        },
    }
    found = list_by_part(kept.do_each(instruments, seeds))
    found["networks"] = [
        kept.do(
            f"networks-{one}-{other}",
            functools.partial(measure_two, network, setting, one, other),
        )
        for one, other in zip(seeds, np.roll(seeds, -1).tolist(), strict=True)
        if one < other
    ]
    return found


def measure_two(
    network: Callable[[int], TrainedBlocks],
    setting: Callable[[int], PlantedSetting],
    one: int,
    other: int,
) -> dict[str, Any]:
    """Compare the networks of two seeds on the images of the first."""
    return measure_networks(network(one), network(other), setting(one))


def listen_with(
    setting: Callable[[int], PlantedSetting], how: str, sizes: ConceptSizes, seed: int
) -> dict[str, Any]:
    """Train with a stethoscope on the images of a seed."""
    return measure_stethoscope(setting(seed), how, sizes, seed)
