"""A finished run is asked about all that is expected of it."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from whence.bounds import BATCH_SIZE
from whence.checks.expectations import Expectation, Expectations
from whence.checks.subjects import Subject, ask_model
from whence.data import DATASETS
from whence.data.read_images import read_images
from whence.models.classifier import Classifier
from whence.records.checked import Checks
from whence.records.images import ImageSet
from whence.runs.finished import read_run, read_settings
from whence.runs.groups_of_run import files_of_group
from whence.runs.load_parts import load_part, take_tested
from whence.runs.sample_of_run import choose_sample
from whence.runs.where import AS_SETTINGS_SAY, Where


def check_run(
    folder: Path,
    model: Classifier,
    expected: Expectations,
    *,
    where: Where = AS_SETTINGS_SAY,
    batch_size: int = BATCH_SIZE,
) -> Checks:
    """Check what is expected of a run.

    Args:
        folder: of the run.
        model: of the run, with its memory.
        expected: what is expected; paths begin at the folder of its file.
        where: the run's own images are.
        batch_size: images encoded at once.

    Raises:
        FileNotFoundError: if images are not there.
        ValueError: if a class, a group or an index is unknown.
    """
    about = read_run(folder)

    def find(one: Expectation) -> Subject:
        if one.image:
            return read_subject(one.image, expected.folder, model)
        if one.data is not None:
            data = place_data(one.data, expected.folder)
            sample = choose_sample(folder, about, data, where=where).sample
            return name_labelled(sample.images)
        test = load_part(folder, about, "test", where=where)
        if not one.test:
            return name_labelled(test)
        return name_labelled(take_tested(test, one.test), one.test)

    group = partial(files_of_group, read_settings(folder))
    return ask_model(model, expected.items, find, group, batch_size=batch_size)


def read_subject(names: Sequence[str], folder: Path, model: Classifier) -> Subject:
    """Read the files that a check names, below the folder of its file."""
    paths = [folder / Path(name).expanduser() for name in names]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"No image {path}.")
    images = read_images(paths, like=model).images
    return Subject(names, images, [None] * len(names))


def place_data(data: str, folder: Path) -> str:
    """Return the name of a dataset as it is, and a path as it is below a folder."""
    return data if data in DATASETS else os.path.normpath(folder / Path(data).expanduser())


def name_labelled(
    images: ImageSet, places: Sequence[int] | None = None, *, part: str = "test"
) -> Subject:
    """Call labelled images by their files, or by their places among those of a part of the run."""
    numbers = range(len(images)) if places is None else places
    names = images.sources or [f"{part} image {number}" for number in numbers]
    return Subject(list(names), images.images, images.labels.tolist())
