"""Read idx files, the format that MNIST is published in."""

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from whence.records.images import ImageSet

UINT8 = 8
"""The code of unsigned bytes in an idx header."""

PREFIXES = {"train": "train", "test": "t10k"}


def idx_paths(folder: Path, part: str) -> tuple[Path, Path]:
    """Name the image and the label file of a part; packed (.gz) ones where only they are there.

    Args:
        folder: where the four files are expected.
        part: ``"train"`` or ``"test"``.
    """
    images, labels = (
        folder / f"{PREFIXES[part]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )
    return _packed_if_alone(images), _packed_if_alone(labels)


def read_idx_images(folder: Path, part: str, class_names: tuple[str, ...]) -> ImageSet:
    """Read the images and labels of one part.

    Args:
        folder: where the four files are.
        part: ``"train"`` or ``"test"``.
        class_names: K names; labels must be below K.

    Raises:
        ValueError: if a file is damaged, or labels do not fit.
    """
    images_path, labels_path = idx_paths(folder, part)
    images, labels = read_idx(images_path, axes=3), read_idx(labels_path, axes=1).long()
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path} must have a label for each of the {len(images)} images in "
            f"{images_path.name}, got {len(labels)}; get both files from one place."
        )
    if len(labels) == 0 or int(labels.max()) >= len(class_names):
        found = f"one of {int(labels.max())}" if len(labels) else "no label"
        raise ValueError(
            f"{labels_path} must hold labels below {len(class_names)}, got {found}; "
            "get the file again."
        )
    return ImageSet(images[:, None], labels, class_names)  # (N, 1, H, W)


def read_idx(path: Path, *, axes: int) -> Tensor:
    """Read one idx file of unsigned bytes, packed or not.

    Args:
        path: the file; a name that ends in ``.gz`` is unpacked.
        axes: how many axes the file must have.

    Returns:
        uint8 of the shape that the file declares.

    Raises:
        ValueError: if the file is not such an idx file, or its length is not what it declares.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} must be a gzip file, it is damaged ({error}).") from error
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, UINT8, axes]):
        raise ValueError(
            f"{path} must be an idx file of unsigned bytes with {axes} axes, it begins with "
            f"{content[:4].hex(' ') or 'nothing'}; remove it and get it again."
        )
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise ValueError(
            f"{path} must have {math.prod(shape)} bytes after its header, as its shape "
            f"{tuple(shape)} says, got {len(content) - start}; remove it and get it again."
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:].reshape(shape)


def _packed_if_alone(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() and not path.is_file() else path
