"""The study: path masks on activations, and a conditional GAN as another source of morphs."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from whence.records.images import Dataset
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import are_small, identify_data, load_subject
from whence.studies.path_on_activations.compare_morphs import compare_morphs
from whence.studies.path_on_activations.compare_views import compare_views
from whence.studies.path_on_activations.follow_views import WEIGHT_OF_MASK
from whence.studies.path_on_activations.learned import (
    FULL_PATHS,
    LARGER_PATHS,
    Learned,
    PathSizes,
    learn_paths,
)
from whence.studies.path_on_activations.report import report_paths

PATH_PARTS: Mapping[str, Callable[[Learned, PathSizes, int], dict[str, Any]]] = {
    "views": compare_views,
    "morphs": compare_morphs,
}

SMALLEST_MORPHED = 4
"""Pixels of a side, of which two poolings leave one."""


def path_on_activations(request: StudyRequest) -> Findings:
    """Follow paths on pixels and in the layers, and turn images into another class by a GAN."""
    data = load_subject(request)
    usual = PathSizes() if are_small(data) else LARGER_PATHS
    sizes = FULL_PATHS if request.full else usual
    return follow_activations(data, request, sizes)


def follow_activations(data: Dataset, request: StudyRequest, sizes: PathSizes) -> Findings:
    """Do the study on some images at some size.

    Raises:
        ValueError: if the images are smaller than the network takes.
    """
    height, width = data.train.images.shape[2:]
    if min(height, width) < SMALLEST_MORPHED:
        raise ValueError(
            f"Images must be at least {SMALLEST_MORPHED} pixels high and wide, those of "
            f"{data.name} are {height} x {width}; name larger ones."
        )
    seeds = request.list_seeds(sizes.seeds)
    made_with = {
        **identify_data(data),
        **sizes._asdict(),
        "seeds": name_seeds(seeds),
        "mask_weight": WEIGHT_OF_MASK,
        "pair": sizes.pair._asdict(),
    }
    kept = KeptParts(request.out, "path_on_activations", made_with)
    know = cache(partial(learn_paths, data, sizes))

    def compute(name: str, seed: int) -> dict[str, Any]:
        return PATH_PARTS[name](know(seed), sizes, seed)

    parts = kept.do_each({name: partial(compute, name) for name in PATH_PARTS}, seeds)
    return report_paths(parts, data.train.class_names, made_with)
