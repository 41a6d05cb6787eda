"""MNIST and Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28 pixels."""

from collections.abc import Callable
from pathlib import Path

from whence.data.idx import idx_paths, read_idx_images
from whence.data.missing import check_place, fetch
from whence.records.images import Dataset

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def mnist(root: Path, *, download: bool = True) -> Dataset:
    """Load the handwritten digits of LeCun et al. (1998).

    Args:
        root: folder of datasets; the four idx files are in ``root/MNIST/raw``, packed or not.
        download: fetch files that are not there.

    Returns:
        Images `(60000, 1, 28, 28)` and `(10000, 1, 28, 28)` uint8.

    Raises:
        FileNotFoundError: if a file is missing and cannot be downloaded.
        ValueError: if a file is damaged.
    """

    def fetcher() -> None:
        from torchvision.datasets import MNIST

        MNIST(root, download=True)

    return _load("mnist", Path(root) / "MNIST" / "raw", DIGITS, fetcher, download)


def fashion_mnist(root: Path, *, download: bool = True) -> Dataset:
    """Load the pictures of clothes of Xiao et al. (2017), arXiv:1708.07747.

    Args:
        root: folder of datasets; the four idx files are in ``root/FashionMNIST/raw``, packed or
            not.
        download: fetch files that are not there.

    Returns:
        Images `(60000, 1, 28, 28)` and `(10000, 1, 28, 28)` uint8.

    Raises:
        FileNotFoundError: if a file is missing and cannot be downloaded.
        ValueError: if a file is damaged.
    """

    def fetcher() -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(root, download=True)

    folder = Path(root) / "FashionMNIST" / "raw"
    return _load("fashion_mnist", folder, CLOTHES, fetcher, download)


def _load(
    name: str,
    folder: Path,
    class_names: tuple[str, ...],
    fetcher: Callable[[], None],
    download: bool,
) -> Dataset:
    missing = [
        path for part in ("train", "test") for path in idx_paths(folder, part) if not path.is_file()
    ]
    if missing:
        for path in missing:
            check_place(path)
        way_out = f"put the four idx files of {name}, packed (.gz) or not, into that folder"
        fetch(name, fetcher, download=download, expected=missing[0], way_out=way_out)
    train, test = (read_idx_images(folder, part, class_names) for part in ("train", "test"))
    return Dataset(name, train, test)
