"""The images that a finished run is measured on: its own test images, or others."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from whence.data import DATASETS
from whence.data.fingerprint import fingerprint
from whence.data.load import find_folder, load_dataset
from whence.data.sample import SAME_NAMES, load_sample, take_classes
from whence.records.images import Dataset, Sample
from whence.runs.finished import read_settings
from whence.runs.prepare import key_of_images, load_data


@dataclass(frozen=True)
class LoadedSample:
    """Images that runs are measured on, and their fingerprint when it is first asked for."""

    sample: Sample

    @cached_property
    def fingerprint(self) -> str:
        """Compute the fingerprint of the images."""
        return fingerprint(self.sample.images)


Cache: TypeAlias = dict[tuple[object, ...], LoadedSample]
"""Images by what decides which they are, so that several runs load them once."""


def load_run_data(folder: Path, about: dict[str, Any]) -> Dataset:
    """Load the images that a run was made with.

    Raises:
        ValueError: if they are no longer those.
    """
    settings = read_settings(folder)
    dataset = load_data(settings)
    check_unchanged(folder, about, settings.data, fingerprint(dataset.test))
    return dataset


def check_unchanged(folder: Path, about: dict[str, Any], data: str, found: str) -> None:
    """Refuse test images with another fingerprint than those of the run.

    Raises:
        ValueError: naming the data and the way out.
    """
    if found != about["run"]["test_fingerprint"]:
        raise ValueError(
            f"{data} must hold the images that {folder} was made with, they changed; "
            "name other images with --data."
        )


def choose_sample(
    folder: Path,
    about: dict[str, Any],
    data: str | None,
    *,
    renamed: Mapping[str, str] = SAME_NAMES,
    cache: Cache | None = None,
) -> LoadedSample:
    """Load the test images of a run, or all labelled images of other data.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.
        data: other images, a dataset's name or a folder; None takes the run's own.
        renamed: their classes that are called otherwise than the run's: their name to the run's.
        cache: of images that other runs loaded; these are added.

    Raises:
        ValueError: if the images are no longer those that the run was made with, or the other
            images have other classes or another shape.
    """
    settings, shape = read_settings(folder), tuple(about["image_shape"])
    cache = {} if cache is None else cache
    key: tuple[object, ...] = (data, settings.data_root, shape, tuple(about["classes"]))
    if data is None:
        key = key_of_images(settings)
    if key not in cache:
        if data is None:
            dataset = load_data(settings)
            sample = Sample(dataset.name, dataset.test, dataset.notes)
        else:
            sample = load_other(about, data, renamed, root=settings.data_root)
        cache[key] = LoadedSample(sample)
    if data is None:
        check_unchanged(folder, about, settings.data, cache[key].fingerprint)
    check_like(folder, about, cache[key].sample)
    return cache[key]


def load_other(
    about: dict[str, Any], data: str, renamed: Mapping[str, str], *, root: str
) -> Sample:
    """Load images of the shape and the classes of a run: the test images of a named dataset.

    Or all labelled images of a folder.
    """
    channels, height, width = about["image_shape"]
    classes = about["classes"]
    if data not in DATASETS:
        shape = channels, height, width
        return load_sample(find_folder(data), classes, shape, renamed=renamed)
    size = height if height == width else None
    dataset = load_dataset(data, root=Path(root), size=size, channels=channels)
    images = take_classes(dataset.test, classes, where=data, renamed=renamed)
    return Sample(dataset.name, images, dataset.notes)


def check_like(folder: Path, about: dict[str, Any], sample: Sample) -> None:
    """Refuse images of another shape than the run's.

    Raises:
        ValueError: naming both shapes.
    """
    shape, found = tuple(about["image_shape"]), tuple(sample.images.images.shape[1:])
    if found != shape:
        raise ValueError(f"{sample.name} must have images of shape {shape}, got {found}.")
