"""SVHN (Netzer et al., 2011): 73,257 and 26,032 house numbers, RGB, 32 x 32 pixels."""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from whence.data.missing import check_place, fetch
from whence.data.mnist import DIGITS
from whence.records.images import Dataset, ImageSet

PAGE = "http://ufldl.stanford.edu/housenumbers"
PARTS = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def svhn(root: Path, *, download: bool = True) -> Dataset:
    """Load the cropped digits; the published label 10 is the digit 0.

    Args:
        root: folder of datasets; ``train_32x32.mat`` and ``test_32x32.mat`` are in it, or in
            ``root/SVHN``.
        download: fetch files that are not there.

    Returns:
        Images `(73257, 3, 32, 32)` and `(26032, 3, 32, 32)` uint8.

    Raises:
        FileNotFoundError: if a file is missing and cannot be downloaded.
        ValueError: if a file is damaged.
    """
    train, test = (_load(Path(root), part, download) for part in PARTS)
    return Dataset("svhn", train, test)


def _load(root: Path, part: str, download: bool) -> ImageSet:
    path = root / "SVHN" / PARTS[part]
    check_place(path)
    if not path.is_file():
        path = root / PARTS[part]
    if not path.is_file():
        _fetch(root, part, path, download=download)
    return _read(path)


def _fetch(root: Path, part: str, path: Path, *, download: bool) -> None:
    def fetcher() -> None:
        from torchvision.datasets import SVHN

        SVHN(root, split=part, download=True)

    way_out = f"get it from {PAGE}/{path.name}"
    fetch("svhn", fetcher, download=download, expected=path, way_out=way_out)


def _read(path: Path) -> ImageSet:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=["X", "y"])
        pixels, digits = content["X"], content["y"]
    except (
        MatReadError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,  # what scipy 1.14 raises for empty files
        OSError,
        EOFError,
        NotImplementedError,  # what scipy raises for files of MATLAB 7.3
        struct.error,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path} must be a MATLAB file with X and y, it cannot be read ({error}); "
            "remove it to get it again."
        ) from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[2:] != (3, digits.size):
        raise ValueError(
            f"{path} must hold X (H, W, 3, N) uint8 and N labels y, got X {pixels.shape} "
            f"{pixels.dtype} and {digits.size} labels; remove it to get it again."
        )
    labels = torch.from_numpy(digits.astype(np.int64).reshape(-1)) % 10
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))  # (N, 3, H, W)
    return ImageSet(images, labels, DIGITS)
