"""Load a dataset by name, an image folder, or the images that a table names."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.bounds import check_number
from whence.data import DATASETS
from whence.data.channels import check_channels, to_channels
from whence.data.folder import image_folder
from whence.data.label_list import label_list
from whence.data.label_table import NO_COLUMNS, is_frame, is_table
from whence.data.resize import check_size, resize
from whence.kinds import check_arguments, check_kind
from whence.messages import quote
from whence.records.images import Dataset, ImageSet


@check_arguments
def load_dataset(
    name_or_path: str | Path | Any,
    *,
    root: str | Path = Path("datasets"),
    size: int | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
    seed: int = 0,
    download: bool = True,
    columns: Mapping[str, str] = NO_COLUMNS,
    whole: bool = False,
) -> Dataset:
    """Load the training and test images of a name, of an image folder, or of a table of labels.

    A name in ``DATASETS`` wins over a folder of that name; ``./name`` or a ``Path`` is the folder.
    A table is a .csv or .tsv file, or a frame of pandas, with a row for each image: its path, its
    label, and if there are, its group, its split and its weight.

    Args:
        name_or_path: a name, a folder, or a table.
        root: folder of the named datasets.
        size: pixels of a side; None keeps the size of a named dataset, and for a folder does
            what ``image_folder`` does.
        channels: 1 or 3; None keeps what the images have.
        default_large_size: of a folder without ``size`` whose images are not all alike and small,
            pixels of a side.
        seed: for a folder without ``test/``, or a table without such a split, the draw of its test
            images.
        download: fetch files of a named dataset that are not there.
        columns: of a table, the names of its columns by what they say ("path", "label", "group",
            "split", "weight"); what is left out has the column of its own name.
        whole: draw no test images; the test set is empty where the data name none.

    Raises:
        FileNotFoundError: if files of a named dataset are missing and cannot be downloaded, or
            files that a table names are not there.
        ValueError: if there is neither such a name nor such a folder, or the files are not in
            order.
    """
    if size is not None:
        check_size(size)
    if channels is not None:
        check_channels(channels)
    check_number("size", default_large_size, shown="default_large_size")
    check_number("seed", seed)
    table = is_frame(name_or_path) or is_table(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        table = False
    if columns and not table:
        raise ValueError(
            f"columns are for a table of labels (.csv, .tsv), {name_or_path} is none; leave them "
            "out."
        )
    if table:
        return label_list(
            name_or_path if is_frame(name_or_path) else Path(name_or_path).expanduser(),
            columns=columns,
            size=size,
            channels=channels,
            default_large_size=default_large_size,
            seed=seed,
            whole=whole,
        )
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        dataset: Dataset = DATASETS[name_or_path](Path(root).expanduser(), download=download)
        return _convert(dataset, size, channels)
    return image_folder(
        find_folder(name_or_path),
        size=size,
        channels=channels,
        default_large_size=default_large_size,
        seed=seed,
        whole=whole,
    )


def find_folder(name_or_path: str | Path) -> Path:
    """Turn what is no name in ``DATASETS`` into the folder that it must be.

    Raises:
        ValueError: if a text leads to nothing.
    """
    check_kind("name_or_path", name_or_path, (str, Path))
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and not path.exists():
        raise ValueError(
            f"Unknown dataset {quote(name_or_path)}, and there is no such folder. "
            "Give an image folder, a table of labels (.csv), or choose from: "
            f"{', '.join(DATASETS)}."
        )
    return path


def _convert(dataset: Dataset, size: int | None, channels: int | None) -> Dataset:
    """Bring a named dataset to the size and channels asked for, and note a change of channels."""
    had = dataset.train.images.shape[1]
    notes = dataset.notes
    if channels == 1 and had == 3:
        notes += ("The images are in colour and were converted to grey.",)
    if channels == 3 and had == 1:
        notes += ("The images are grey: their one channel was repeated to make three.",)
    train, test = (_convert_set(part, size, channels) for part in (dataset.train, dataset.test))
    return replace(dataset, train=train, test=test, notes=notes)


def _convert_set(part: ImageSet, size: int | None, channels: int | None) -> ImageSet:
    images = part.images if size is None else resize(part.images, size)
    return replace(part, images=images if channels is None else to_channels(images, channels))
