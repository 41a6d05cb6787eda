"""The images of a finished run, wherever they are now: they are known by their hashes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from whence.data import DATASETS
from whence.data.find_files import FoundFiles, find_files
from whence.data.fingerprint import content_hashes, fingerprint
from whence.data.label_list import find_list_root
from whence.data.label_table import is_table
from whence.kinds import check_arguments
from whence.messages import shorten_text
from whence.records.images import Dataset, ImageParts, ImageSet
from whence.runs.divide import divide
from whence.runs.finished import read_run, read_settings
from whence.runs.image_record import RECORDED_PARTS, ImageRecord, PartRecord, read_image_record
from whence.runs.images import load_data
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY, Where


@check_arguments
def load_parts(
    run: str | Path,
    *,
    root: str | Path | None = None,
    download_to: str | Path | None = None,
) -> ImageParts:
    """Load the images of a finished run, divided as the run divided them.

    A run keeps the hash, the label and the file of each of its images. They are looked for where
    they were, file by file, and those that are not there any more among all images of the folder,
    by their pixels: files may have been moved or renamed.

    Args:
        run: the run folder.
        root: where the images are now: the folder of the named datasets, or the image folder; None
            is where they were.
        download_to: folder for the files of a named dataset that are not there; None forbids it.

    Raises:
        FileNotFoundError: if there is no finished run, or no such folder or dataset.
        ValueError: if the run is damaged, or images are gone or have other pixels now.
    """
    folder = Path(run).expanduser()
    where = Where(*(None if one is None else Path(one).expanduser() for one in (root, download_to)))
    about = read_run(folder)
    record = read_image_record(folder, about)
    if record is None:
        return load_divided(folder, about, where)
    train, validation, test = find_parts(folder, about, record, RECORDED_PARTS, where)
    return ImageParts(train, validation, test, record.indices)


def load_part(
    folder: Path,
    about: dict[str, Any],
    part: str,
    *,
    where: Where = AS_SETTINGS_SAY,
) -> ImageSet:
    """Load one part of the images of a finished run; the others need not be there any more.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.
        part: "train", "validation" or "test".
        where: the images are, and may be downloaded to.

    Raises:
        FileNotFoundError: as in ``load_parts``.
        ValueError: as in ``load_parts``.
    """
    return load_named_parts(folder, about, (part,), where=where)[part]


def take_tested(test: ImageSet, indices: Sequence[int]) -> ImageSet:
    """Take test images of a run by their indices.

    Raises:
        ValueError: if there is no such image.
    """
    for index in indices:
        if not 0 <= index < len(test):
            raise ValueError(f"test must be in 0 to {len(test) - 1}, got {index}.")
    return test.take(indices)


def load_named_parts(
    folder: Path,
    about: dict[str, Any],
    names: Sequence[str],
    *,
    where: Where = AS_SETTINGS_SAY,
) -> dict[str, ImageSet]:
    """Load some parts of the images of a finished run in one search; as ``load_part``."""
    record = read_image_record(folder, about)
    if record is None:
        divided = load_divided(folder, about, where)
        return {name: getattr(divided, name) for name in names}
    return dict(zip(names, find_parts(folder, about, record, names, where), strict=True))


def load_training(
    folder: Path, about: dict[str, Any], *, where: Where = AS_SETTINGS_SAY
) -> tuple[ImageSet, Tensor]:
    """Load the training images of a finished run, and their places `(n,)` in their dataset.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.
        where: the images are, and may be downloaded to.

    Raises:
        FileNotFoundError: as in ``load_parts``.
        ValueError: as in ``load_parts``.
    """
    record = read_image_record(folder, about)
    if record is None:
        parts = load_divided(folder, about, where)
        return parts.train, parts.indices
    return find_parts(folder, about, record, ("train",), where)[0], record.indices


def find_parts(
    folder: Path,
    about: dict[str, Any],
    record: ImageRecord,
    names: Sequence[str],
    where: Where,
) -> list[ImageSet]:
    """Find the recorded images of the parts that are named, in one search.

    Raises:
        FileNotFoundError: if there is no such folder or dataset.
        ValueError: if images are gone or have other pixels now.
    """
    settings, wanted = read_settings(folder), [getattr(record, name) for name in names]
    hashes = [one for part in wanted for one in part.hashes]
    if settings.data in DATASETS:
        place, found = settings.data, find_in_dataset(load_data(settings, where), hashes)
    else:
        root = check_there(folder, settings, where)
        sources = [one for part in wanted for one in part.sources or [""] * len(part.hashes)]
        place, found = str(root), find_files(root, hashes, sources, tuple(about["image_shape"]))
    if found.missing:
        raise ValueError(say_gone(folder, place, found, len(hashes)))
    return divide_found(wanted, found, tuple(about["classes"]))


def check_there(folder: Path, settings: Settings, where: Where) -> Path:
    """Name the folder that the images of a run are in.

    Raises:
        FileNotFoundError: if it is no folder, or the table that names them is gone.
    """
    place = Path(settings.data).expanduser() if where.root is None else where.root
    if where.root is None and is_table(place):
        return find_list_root(place, settings.columns)
    if not place.is_dir():
        raise FileNotFoundError(
            f"{folder} was made with the images in {shorten_text(settings.data)}, and "
            f"{place} is no folder; name the one that they are in now with --data-root."
        )
    return place


def say_gone(folder: Path, place: str, found: FoundFiles, total: int) -> str:
    """Say which images of a run are not where they are looked for."""
    missing = found.missing
    first = found.sources[missing[0]] if found.sources else f"image {missing[0]}"
    return (
        f"{place} must hold the images that {folder} was made with, {len(missing):,} of {total:,} "
        f"are gone or changed (first: {shorten_text(first)}); name the folder that they are in "
        "now with --data-root, or other images with --data."
    )


def find_in_dataset(dataset: Dataset, hashes: Sequence[str]) -> FoundFiles:
    """Find images of known pixels among those of a named dataset."""
    images = dataset.test.images.new_zeros(len(hashes), *dataset.test.images.shape[1:])
    left = set(range(len(hashes)))
    for pool in (dataset.test, dataset.train):
        places = {name: place for place, name in enumerate(content_hashes(pool.images))}
        rows = [row for row in left if hashes[row] in places]
        images[rows] = pool.images[[places[hashes[row]] for row in rows]]
        left.difference_update(rows)
        if not left:
            break
    return FoundFiles(images, (), tuple(sorted(left)))


def divide_found(
    wanted: Sequence[PartRecord], found: FoundFiles, class_names: tuple[str, ...]
) -> list[ImageSet]:
    """Give images that were found in one search to their parts."""
    parts, first = [], 0
    for part in wanted:
        rows = slice(first, first := first + len(part.hashes))
        kept = found.sources[rows] if part.sources is not None else None
        parts.append(ImageSet(found.images[rows], part.labels, class_names, kept))
    return parts


def load_divided(folder: Path, about: dict[str, Any], where: Where) -> ImageParts:
    """Load and divide the images of a run that kept no record of them, as its settings say.

    Raises:
        FileNotFoundError: if there is no such folder or dataset.
        ValueError: if the images are no longer those that the run was made with.
    """
    settings = read_settings(folder)
    dataset = load_data(settings, where, shape=tuple(about["image_shape"]))
    for name, images in (("train", dataset.train), ("test", dataset.test)):
        if fingerprint(images) != about["run"].get(f"{name}_fingerprint"):
            raise ValueError(
                f"{shorten_text(settings.data)} must hold the images that {folder} was made "
                f"with, its {name} images changed; name the folder that they are in now with "
                "--data-root, or other images with --data."
            )
    parts = divide(dataset, settings)
    train, validation = dataset.train.take(parts.train), dataset.train.take(parts.validation)
    return ImageParts(train, validation, dataset.test, parts.train)
