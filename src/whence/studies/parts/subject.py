"""The images or the run that a study is asked about."""

from functools import partial
from pathlib import Path

from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.models.about import DONE
from whence.records.images import Dataset
from whence.runs.images import load_or_download
from whence.runs.settings import DATA_ROOT
from whence.studies.parts.request import StudyRequest

SMALL_IMAGE_SIDE = 16
"""Pixels of a side up to which images are small; with larger ones a study does less, so that it
takes minutes with these, too."""


def load_subject(
    request: StudyRequest,
    own: str = "digits",
    *,
    size: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """Load the images that a study is asked about.

    Args:
        request: names them, and where they are.
        own: the study's own images, by name.
        size: pixels of a side; None keeps what there is.
        channels: 1 or 3; None keeps what there is.

    Raises:
        FileNotFoundError: if they are not there.
        ValueError: if they are not in order, or a run was named where images are wanted.
    """
    named = request.subject or own
    if is_run(named):
        raise ValueError(f"{named} is a run, and this study asks about images; name these.")
    load = partial(load_dataset, named, size=size, channels=channels, seed=0)
    return load_or_download(load, request.where, known=DATA_ROOT)


def identify_data(data: Dataset) -> dict[str, str]:
    """Say which images a study is made with: their name, and hashes of both parts."""
    return {
        "data": data.name,
        "train_fingerprint": fingerprint(data.train),
        "test_fingerprint": fingerprint(data.test),
    }


def are_small(data: Dataset) -> bool:
    """Say whether images are so small that a study does all that it does by default."""
    return min(data.train.images.shape[2:]) <= SMALL_IMAGE_SIDE


def is_run(subject: str | None) -> bool:
    """Say whether a subject is the folder of a finished run."""
    return subject is not None and (Path(subject).expanduser() / DONE).exists()


def find_run(request: StudyRequest) -> Path:
    """Name the folder of the run that a study is asked about.

    Raises:
        ValueError: if it is none.
    """
    if not is_run(request.subject):
        raise ValueError(
            f"{request.subject or 'RUN'} must be the folder of a finished run; make one with "
            "whence train."
        )
    return Path(str(request.subject)).expanduser()
