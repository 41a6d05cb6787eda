"""Given concepts in a user's run: does it know them, and do its classes depend on them?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.fingerprint import fingerprint
from whence.data.read_images import read_images
from whence.encoders.at_layers import list_depths, spread_evenly
from whence.messages import count, quote
from whence.models.about import read_about
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.images import ImageSet
from whence.runs.sample_of_run import choose_sample
from whence.seeds import make_generator
from whence.studies.concepts.directions import (
    LEVEL,
    ConceptTest,
    compare_scores,
    fit_directions,
    fit_random_directions,
    is_moved,
)
from whence.studies.concepts.figures import draw_directions, draw_probes
from whence.studies.concepts.listen import find_class_slopes, read_depths
from whence.studies.concepts.probing import measure_probes
from whence.studies.concepts.units import detect_by_units
from whence.studies.parts.fewer_images import draw_part
from whence.studies.parts.findings import Entry, Findings, StudyFigure
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.subject import find_run

LEAST_CONCEPT = 10
"""Images that a concept must have."""

KNOWN_SHARE = 0.7
"""Accuracy on left-out images from which a layer is said to know a concept; half is chance."""

MOST_DEPTHS_ASKED, MOST_OF_RUN, MOST_OF_CLASS = 4, 1000, 50
"""Layers, images of the run, and images of each class that are looked at."""

FEW_DRAWS, MANY_DRAWS = 30, 500
"""Directions of each kind, and with --full; the second is Kim et al.'s number."""


STILL_SHARE = 0.1
"""Share of images whose logits do not move from which that is said."""

CLEAR_SCORE = 0.6
"""Score from which a concept is said to speak for a class; as far below a half, against it."""


class RunTests(NamedTuple):
    """What was found in a run: by layer, concept and class, and how many tests those are.

    ``still`` is the share of images whose logit does not depend on the last layer.
    """

    layers: tuple[str, ...]
    tests: dict[str, dict[str, dict[str, ConceptTest]]]
    units: dict[str, dict[str, tuple[int, float]]]
    errors: dict[str, float]
    together: int
    still: float


def look_for_concepts(request: StudyRequest) -> Findings:
    """Look for concepts, each a folder of images, in a run.

    Raises:
        ValueError: if there is no concept, one has few images, or something was asked that is for
            the study's own networks.
    """
    folder = find_run(request)
    if not request.concepts:
        raise ValueError("A run is asked about concepts: add --concept FOLDER with images of one.")
    if request.seeds is not None:
        raise ValueError("--seeds is for the study's own networks; leave it out with a run.")
    model = load_to_answer(folder, request.device)
    names = name_concepts(request.concepts)
    pictures = {
        name: read_concept(path, model) for name, path in zip(names, request.concepts, strict=True)
    }
    sample = choose_sample(folder, read_about(folder), None, where=request.where).sample
    images = draw_part(sample.images, MOST_OF_RUN, make_generator(0))
    draws = MANY_DRAWS if request.full else FEW_DRAWS
    made_with = {
        "run": folder.name,
        "images": sample.name,
        "data_fingerprint": fingerprint(images),
        "concepts": {name: hash_images(some) for name, some in pictures.items()},
        "draws": draws,
        "seed": 0,
    }
    depths = list_depths(model.encoder, model.image_shape)
    layers = [list(depths)[place] for place in spread_evenly(range(len(depths)), MOST_DEPTHS_ASKED)]
    kept = KeptParts(request.out, "concepts", {**made_with, "model": read_about(folder)["sha256"]})
    found = kept.do("run", lambda: to_plain(test_run(model, layers, pictures, images, draws)))
    return report_run_concepts(
        from_plain(found), {n: len(some) for n, some in pictures.items()}, made_with
    )


def name_concepts(folders: Sequence[Path]) -> list[str]:
    """Name concepts by their folders.

    Raises:
        ValueError: if two have one name.
    """
    names = [folder.resolve().name for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"--concept must be folders of different names, got {quote(name)} twice."
            )
    return names


def read_concept(folder: Path, model: Classifier) -> Tensor:
    """Read the images of a concept as the model takes them, `(P, C, H, W)` uint8.

    Raises:
        FileNotFoundError: if the folder is not there or holds no image.
        ValueError: if there are too few.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--concept must be a folder of images, there is no {folder}.")
    images = read_images(folder, like=model).images
    if len(images) < LEAST_CONCEPT:
        raise ValueError(
            f"--concept must hold at least {LEAST_CONCEPT} images, {folder} holds {len(images)}."
        )
    return images


def hash_images(images: Tensor) -> str:
    """Hash images without labels."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    return fingerprint(ImageSet(images, labels, ("concept", "other")))


def test_run(
    model: Classifier,
    layers: Sequence[str],
    pictures: Mapping[str, Tensor],
    images: ImageSet,
    draws: int,
) -> RunTests:
    """Test every concept for every class in every layer, and probe the layers.

    Args:
        model: in eval mode, with its memory if it reads one.
        layers: of its encoder.
        pictures: by concept, `(P, C, H, W)`.
        images: labelled ones of the run; those of a concept are compared with them.
        draws: directions of each kind.
    """
    generator = make_generator(0)
    given = {name: read_depths(model, layers, some) for name, some in pictures.items()}
    others = read_depths(model, layers, images.images)
    classes = {
        name: (images.labels == number).nonzero().flatten()[:MOST_OF_CLASS]
        for number, name in enumerate(images.class_names)
        if bool((images.labels == number).any())
    }
    rows = torch.cat(list(classes.values()))
    slopes = find_class_slopes(model, layers, images.images[rows], images.labels[rows])
    tests: dict[str, dict[str, dict[str, ConceptTest]]] = {}
    units: dict[str, dict[str, tuple[int, float]]] = {}
    for layer in layers:
        base = others[layer].flatten(1)
        tests[layer], units[layer] = {}, {}
        for name, some in given.items():
            features = some[layer].flatten(1)
            size = min(len(features), len(base) // 2)
            towards = fit_directions(features, base, draws, size, generator)
            random = fit_random_directions(base, draws, size, generator)
            by_class = slopes[layer].split([len(places) for places in classes.values()])
            tests[layer][name] = {
                one: compare_scores(part, towards, random)
                for one, part in zip(classes, by_class, strict=True)
            }
            units[layer][name] = find_detector(features, base)
    total = len(layers) * len(pictures) * len(classes)
    still = float((slopes[layers[-1]] == 0).all(1).float().mean())
    return RunTests(tuple(layers), tests, units, probe_run(others, images), total, still)


def find_detector(concept: Tensor, others: Tensor) -> tuple[int, float]:
    """Find the unit whose mean tells a concept best from other images, as many of these.

    Of the larger number every so manieth is taken: images of a folder stand class by class.
    """
    size = min(len(concept), len(others))
    present = torch.arange(2 * size) < size
    parts = [some[torch.arange(size) * len(some) // size] for some in (concept, others)]
    precisions = detect_by_units(torch.cat(parts), present)
    best = int(precisions.argmax())
    return best, float(precisions[best])


def probe_run(features: Mapping[str, Tensor], images: ImageSet) -> dict[str, float]:
    """Fit probes of the classes to half of the images, and count mistakes on the others."""
    order = torch.randperm(len(images), generator=make_generator(1))
    known, asked = order.tensor_split(2)
    parts = [{name: some[rows] for name, some in features.items()} for rows in (known, asked)]
    labels = images.labels[known], images.labels[asked]
    return measure_probes(parts[0], labels[0], parts[1], labels[1], len(images.class_names), seed=0)


def to_plain(found: RunTests) -> dict[str, Any]:
    """Lay out as JSON."""
    return {
        **found._asdict(),
        "tests": {
            layer: {
                concept: {name: list(test) for name, test in some.items()}
                for concept, some in of_layer.items()
            }
            for layer, of_layer in found.tests.items()
        },
    }


def from_plain(found: Mapping[str, Any]) -> RunTests:
    """Read that again."""
    tests = {
        layer: {
            concept: {name: ConceptTest(*test) for name, test in some.items()}
            for concept, some in of_layer.items()
        }
        for layer, of_layer in found["tests"].items()
    }
    units = {
        layer: {concept: (int(one[0]), float(one[1])) for concept, one in some.items()}
        for layer, some in found["units"].items()
    }
    others = (found[name] for name in ("errors", "together", "still"))
    return RunTests(tuple(found["layers"]), tests, units, *others)


def report_run_concepts(
    found: RunTests, amounts: Mapping[str, int], made_with: Mapping[str, Any]
) -> Findings:
    """Say in plain words what was found, with a table and figures."""
    sentences = [describe_concept(found, name, amount) for name, amount in amounts.items()]
    return Findings(
        columns=(
            *("concept", "layer", "class", "TCAV", "random", "significant"),
            *("told from others", "best unit", "its average precision"),
        ),
        rows=tuple(list_run_tests(found)),
        holds=None,
        verdict=sentences[0],
        made_with=made_with,
        sentences=(*sentences[1:], *explain_reading(found)),
        figures=draw_run_tests(found, [*amounts]),
    )


def list_run_tests(found: RunTests) -> list[tuple[Entry, ...]]:
    """List every test: layer by layer, concept by concept, class by class."""
    return [
        (
            *(concept, layer, name, test.score, test.random_score),
            "yes" if is_moved(test, found.together) else "no",
            *(test.accuracy, *found.units[layer][concept]),
        )
        for layer in found.layers
        for concept, some in found.tests[layer].items()
        for name, test in some.items()
    ]


def draw_run_tests(found: RunTests, concepts: Sequence[str]) -> tuple[StudyFigure, ...]:
    """Draw the scores of every concept in the last layer, and the probes."""
    last = found.layers[-1]
    scores = [
        StudyFigure(
            f"concept-{number}",
            f"The share of images of each class whose logit rises towards {concept} in layer "
            f"{last}; n. s.: not significantly other than random directions.",
            draw_directions(
                list(found.tests[last][concept]),
                {concept: list(found.tests[last][concept].values())},
                found.together,
            ),
        )
        for number, concept in enumerate(concepts, 1)
    ]
    probes = StudyFigure(
        "probes",
        "How often a linear layer on what a layer of the run gives is wrong about the class.",
        draw_probes({"this run": [found.errors[n] for n in found.layers]}, found.layers),
    )
    return (*scores, probes)


def describe_concept(found: RunTests, concept: str, amount: int) -> str:
    """Say in plain words whether a run knows a concept, and which classes depend on it.

    The layer that knows the concept best decides, of several the deepest.
    """
    accuracies = {
        layer: next(iter(found.tests[layer][concept].values())).accuracy for layer in found.layers
    }
    best = max(reversed(found.layers), key=lambda layer: accuracies[layer])
    head = f"{concept} ({count(amount, 'image')}): "
    if accuracies[best] < KNOWN_SHARE:
        return (
            f"{head}this run does not know it; no layer tells it from other images more often than "
            f"{accuracies[best]:.0%} (half is chance), so nothing can be said about its use."
        )
    tests = found.tests[best][concept]
    moved = {name: test for name, test in tests.items() if is_moved(test, found.together)}
    towards = [name for name, test in moved.items() if test.score >= CLEAR_SCORE]
    against = [name for name, test in moved.items() if test.score <= 1 - CLEAR_SCORE]
    told = f"layer {best} tells it from other images in {accuracies[best]:.0%}"
    if not towards and not against:
        return f"{head}{told}, but no class clearly depends on it."
    parts = [
        f"{words} {list_scores(names, tests)}"
        for words, names in (("speaks for", towards), ("speaks against", against))
        if names
    ]
    return f"{head}{told}, and it {' and '.join(parts)}."


def list_scores(names: Sequence[str], tests: Mapping[str, ConceptTest]) -> str:
    """List classes with their scores."""
    return ", ".join(f"{name} (TCAV {tests[name].score:.2f})" for name in names)


def explain_reading(found: RunTests) -> tuple[str, ...]:
    """Say how the numbers are to be read, and what they cannot say."""
    first, last = found.errors[found.layers[0]], found.errors[found.layers[-1]]
    halves = (
        f"The logits of {found.still:.0%} of these images do not move at all, as where votes are "
        "unanimous; they count half, which brings scores near 0.5.",
    )
    return (
        *(halves if found.still > STILL_SHARE else ()),
        f"TCAV is the share of a class's images whose logit rises when what the layer gives is "
        f"moved towards the concept; 0.5 is chance. It says which way, not how much. Of "
        f"{count(found.together, 'test')} together, one or more is significant by chance with "
        f"{LEVEL:.0%}.",
        "A concept is compared with images of the run: where its images differ from these in other "
        "ways too (size, light, camera), that difference is part of the direction.",
        f"A linear layer on the first of these layers is wrong on {first:.0%} of the images, "
        f"on the last on {last:.0%}.",
    )
