"""CIFAR-10 (Krizhevsky, 2009): 50,000 and 10,000 RGB images of 32 x 32 pixels, ten classes."""

from dataclasses import replace
from pathlib import Path

import torch

from whence.data.folder import image_folder
from whence.data.missing import fetch
from whence.records.images import Dataset, ImageSet

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


def cifar10(root: Path, *, download: bool = True) -> Dataset:
    """Load the published batch files, or an image folder of that name.

    The batch files are pickles, which can run code: they are read only if they are the official
    ones, by their MD5.

    Args:
        root: folder of datasets; the files are ``root/cifar-10-batches-py/data_batch_1`` and so
            on, or images are in ``root/cifar10/train/<class>/`` and ``root/cifar10/test/<class>/``.
        download: fetch files that are not there.

    Returns:
        Images `(50000, 3, 32, 32)` and `(10000, 3, 32, 32)` uint8.

    Raises:
        FileNotFoundError: if the files are not there and cannot be downloaded.
        ValueError: if a batch file is missing or changed, or the image folder is not in order.
    """
    from torchvision.datasets import CIFAR10

    root = Path(root)
    folder = root / CIFAR10.base_folder
    if not folder.exists() and (root / "cifar10").is_dir():
        return replace(image_folder(root / "cifar10", channels=3), name="cifar10")
    if folder.exists():
        _check_official(folder)
    else:
        way_out = (
            f"unpack cifar-10-python.tar.gz from {PAGE} in {root.absolute()}, or put images into "
            f"{root.absolute() / 'cifar10'}/train/<class> and .../test/<class>"
        )
        expected = folder / "data_batch_1"
        fetch(
            "cifar10",
            lambda: CIFAR10(root, download=True),
            download=download,
            expected=expected,
            way_out=way_out,
        )
    train, test = (_read(root, train=train) for train in (True, False))
    return Dataset("cifar10", train, test)


def _check_official(folder: Path) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    meta = CIFAR10.meta["filename"], CIFAR10.meta["md5"]
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, meta]:
        if not check_integrity(folder / name, md5):
            raise ValueError(
                f"{(folder / name).absolute()} must be the official file of CIFAR-10 (MD5 {md5}), "
                "it is missing or changed; move the folder away to download it again."
            )


def _read(root: Path, *, train: bool) -> ImageSet:
    from torchvision.datasets import CIFAR10

    part = CIFAR10(root, train=train)
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
    return ImageSet(images, torch.tensor(part.targets), tuple(part.classes))
