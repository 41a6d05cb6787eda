"""Load a dataset by name, or an image folder."""

from dataclasses import replace
from pathlib import Path

from whence.data import DATASETS
from whence.data.channels import check_channels, to_channels
from whence.data.folder import image_folder
from whence.data.resize import check_size, resize
from whence.messages import quote
from whence.records.images import Dataset, ImageSet


def load_dataset(
    name_or_path: str | Path,
    *,
    root: Path = Path("datasets"),
    size: int | None = None,
    channels: int | None = None,
    default_large_size: int = 64,
    seed: int = 0,
    download: bool = True,
) -> Dataset:
    """Load the training and test images of a name in ``DATASETS`` or of an image folder.

    A name in ``DATASETS`` wins over a folder of that name; ``./name`` or a ``Path`` is the folder.

    Args:
        name_or_path: a name or a folder.
        root: folder of the named datasets.
        size: pixels of a side; None keeps the size of a named dataset, and for a folder does
            what ``image_folder`` does.
        channels: 1 or 3; None keeps what the images have.
        default_large_size: of a folder without ``size`` whose images are not all alike and small,
            pixels of a side.
        seed: for a folder without ``test/``, the draw of its test images.
        download: fetch files of a named dataset that are not there.

    Raises:
        FileNotFoundError: if files of a named dataset are missing and cannot be downloaded.
        ValueError: if there is neither such a name nor such a folder, or the files are not in
            order.
    """
    if size is not None:
        check_size(size)
    if channels is not None:
        check_channels(channels)
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        dataset: Dataset = DATASETS[name_or_path](Path(root).expanduser(), download=download)
        return _convert(dataset, size, channels)
    return image_folder(
        find_folder(name_or_path),
        size=size,
        channels=channels,
        default_large_size=default_large_size,
        seed=seed,
    )


def find_folder(name_or_path: str | Path) -> Path:
    """Turn what is no name in ``DATASETS`` into the folder that it must be.

    Raises:
        ValueError: if a text leads to nothing.
    """
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and not path.exists():
        raise ValueError(
            f"Unknown dataset {quote(name_or_path)}, and there is no such folder. "
            f"Give an image folder or choose from: {', '.join(DATASETS)}."
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
