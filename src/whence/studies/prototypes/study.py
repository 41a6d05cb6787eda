"""The study: what answering by prototypical parts costs, and whether the parts collapse."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import mean
from typing import Any

from whence.records.images import Dataset
from whence.report.numbers import percent
from whence.seeds import make_generator
from whence.studies.parts.fewer_images import draw_part
from whence.studies.parts.findings import Entry, Findings, StudyFigure
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, load_subject
from whence.studies.prototypes.ask_parts import PrototypeSizes, ask_parts
from whence.studies.prototypes.page import draw_parts, show_parts

PROTOTYPE_SEEDS = 3
PROTOTYPE_SIZES = PrototypeSizes(
    images=1000, epochs=20, each=10, steps=500, vote_epochs=80, shown=6
)
MOST_LOST = 0.035
"""The publication: accuracy falls by at most 3.5 points."""

STAGES_OF_PARTS = {
    "plain": "plain network",
    "before": "prototypes, before the push",
    "pushed": "prototypes pushed to patches",
    "accuracy": "last layer fitted",
    "votes": "votes of stored images",
}


def prototypes(request: StudyRequest) -> Findings:
    """Answer by prototypical parts of images, beside the plain network and votes."""
    images = load_subject(request)
    sizes = PROTOTYPE_SIZES
    if request.full:
        sizes = sizes._replace(images=len(images.train), epochs=60, steps=2000)
    return study_prototypes(images, sizes, request)


def study_prototypes(images: Dataset, sizes: PrototypeSizes, request: StudyRequest) -> Findings:
    """Do the study on images to learn from and to be asked about.

    Raises:
        ValueError: if the images are not square.
    """
    height, width = images.train.images.shape[2:]
    if height != width:
        raise ValueError(f"images must be square, got {height} x {width} pixels.")
    seeds = request.list_seeds(PROTOTYPE_SEEDS)
    made_with = {
        "seeds": name_seeds(seeds),
        **identify_data(images),
        "images_to_learn_from": min(sizes.images, len(images.train)),
        "seed_of_images": 0,
        "epochs": sizes.epochs,
        "prototypes_of_each_class": sizes.each,
    }
    kept = KeptParts(request.out, "prototypes", {**made_with, "sizes": sizes})
    images = replace(images, train=draw_part(images.train, sizes.images, make_generator(0)))
    found = [kept.do(f"seed-{seed}", partial(ask_parts, images, sizes, seed)) for seed in seeds]
    return report_parts(found, images, made_with)


def report_parts(
    found: Sequence[Mapping[str, Any]], images: Dataset, made_with: Mapping[str, Any]
) -> Findings:
    """Lay out what all seeds found, and judge the claim."""
    lost = [one["plain"] - one["accuracy"] for one in found]
    distinct, total = mean(one["distinct"] for one in found), found[0]["prototypes"]
    rows: list[tuple[Entry, ...]] = [
        (
            title,
            mean(one[name] for one in found),
            min(one[name] for one in found),
            max(one[name] for one in found),
        )
        for name, title in STAGES_OF_PARTS.items()
    ]
    return Findings(
        columns=("stage", "accuracy", "lowest seed", "highest seed"),
        rows=tuple(rows),
        holds=all(one <= MOST_LOST for one in lost),
        verdict=(
            f"Answering by prototypical parts is {percent(mean(one['accuracy'] for one in found))} "
            f"right, the plain network {percent(mean(one['plain'] for one in found))}; the seed "
            f"that loses most loses {max(0.0, 100 * max(lost)):.1f} points."
        ),
        made_with=made_with,
        sentences=(
            f"Of {total} prototypes {total - distinct:.3g} collapsed onto the patch of another; "
            f"{mean(one['used'] for one in found):.3g} have a weight for their class above a "
            "hundredth of the largest.",
            f"The push moves prototypes by {mean(one['moved'] for one in found):.2g} on average, "
            f"and {percent(mean(one['zero'] for one in found))} of the weights for other classes "
            "become exactly 0.",
        ),
        figures=show_figures(found[0]["examples"], images),
        sections=show_parts(found[0]["examples"], images),
    )


def show_figures(examples: Sequence[Mapping[str, Any]], images: Dataset) -> tuple[StudyFigure, ...]:
    """Draw what looks like what, where there are examples."""
    if not examples:
        return ()
    caption = (
        "Each framed patch of an image looks like the framed patch of a training image, as in "
        "figure 3 of the publication; what that adds to the score stands above."
    )
    return (StudyFigure("parts", caption, draw_parts(examples, images)),)
