"""The images that a finished run is measured on: its own test images, or others."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

from whence.data import DATASETS
from whence.data.fingerprint import content_hashes, fingerprint
from whence.data.label_table import NO_COLUMNS, is_table
from whence.data.load import find_folder, load_dataset
from whence.data.sample import SAME_NAMES, load_sample, take_classes
from whence.records.images import Sample
from whence.runs.finished import read_settings
from whence.runs.images import load_or_download
from whence.runs.load_parts import load_part
from whence.runs.where import AS_SETTINGS_SAY, Where


@dataclass(frozen=True)
class LoadedSample:
    """Images that runs are measured on, and their hashes when they are first asked for."""

    sample: Sample

    @cached_property
    def fingerprint(self) -> str:
        """Compute the fingerprint of the images."""
        return fingerprint(self.sample.images)

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """Hash the pixels of each image."""
        return content_hashes(self.sample.images.images)


Cache: TypeAlias = dict[tuple[object, ...], LoadedSample]
"""Images by what decides which they are, so that several runs load them once."""


def choose_sample(
    folder: Path,
    about: dict[str, Any],
    data: str | None,
    *,
    renamed: Mapping[str, str] = SAME_NAMES,
    columns: Mapping[str, str] = NO_COLUMNS,
    where: Where = AS_SETTINGS_SAY,
    cache: Cache | None = None,
) -> LoadedSample:
    """Load the test images of a run, or all labelled images of other data.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.
        data: other images, a dataset's name, a folder or a table; None takes the run's own.
        renamed: their classes that are called otherwise than the run's: their name to the run's.
        columns: of a table of other images, its columns by what they say.
        where: the images are, and may be downloaded to.
        cache: of images that other runs loaded; these are added.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if the images are no longer those that the run was made with, or the other
            images have other classes or another shape.
    """
    cache = {} if cache is None else cache
    key: tuple[object, ...] = (about["run"]["test_fingerprint"], about["run"].get("dataset"))
    if data is not None:
        key = (data, tuple(about["image_shape"]), tuple(about["classes"]))
    if key not in cache:
        if data is None:
            name = str(about["run"].get("dataset", folder.name))
            images = load_part(folder, about, "test", where=where)
            sample = Sample(name, images)
        else:
            known = read_settings(folder).data_root
            sample = load_other(about, data, renamed, columns, where, known=known)
        cache[key] = LoadedSample(sample)
    return cache[key]


def load_other(
    about: dict[str, Any],
    data: str,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
    where: Where,
    *,
    known: str,
) -> Sample:
    """Load images of the shape and the classes of a run.

    Args:
        about: the content of its ``whence.json``.
        data: a dataset's name, whose test images are taken, or a folder or table, of which all are.
        renamed: classes that are called otherwise than the run's: their name to the run's.
        columns: of a table, its columns by what they say.
        where: the files of a named dataset are, and may be downloaded to.
        known: where they are if ``where`` does not say.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if they have other classes, or cannot be brought to the shape.
    """
    channels, height, width = shape = tuple(about["image_shape"])
    classes = about["classes"]
    if data not in DATASETS:
        place = data if is_table(data) else find_folder(data)
        return load_sample(place, classes, shape, renamed=renamed, columns=columns)
    size = height if height == width else None
    load = partial(load_dataset, data, size=size, channels=channels)
    dataset = load_or_download(load, where, known=known)
    found = tuple(dataset.test.images.shape[1:])
    if found != shape:
        raise ValueError(f"{data} must have images of shape {shape}, got {found}.")
    images = take_classes(dataset.test, classes, where=data, renamed=renamed)
    return Sample(dataset.name, images, dataset.notes)
