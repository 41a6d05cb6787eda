"""Banks on disk: tensors by name, checked against the model when they are read."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import TypeGuard

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.memory.bank import Bank
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.sound import check_sound
from whence.storage.tensors import Layout, read_layouts, read_tensors

LONGEST_SOURCE = 4096
"""Bytes that the file names of a bank may take on average, written as JSON."""


def bank_to_tensors(bank: Bank, *, pixels: bool) -> dict[str, Tensor]:
    """Lay a bank out as named tensors; hashes and file names become bytes.

    Raises:
        ValueError: if a source is absolute or leaves the dataset's folder.
    """
    hashes = torch.frombuffer(bytearray.fromhex("".join(bank.hashes)), dtype=torch.uint8)
    tensors = {
        "features": bank.features,
        "indices": bank.indices,
        "labels": bank.labels,
        "predicted": bank.predicted,
        "hashes": hashes.view(len(bank), -1),
    }
    if pixels and bank.images is not None:
        tensors["images"] = bank.images
    if bank.sources is not None:
        check_sources("sources", bank.sources)
        names = bytearray(json.dumps(bank.sources).encode())
        tensors["sources"] = torch.frombuffer(names, dtype=torch.uint8)
    return tensors


def bank_from_tensors(path: Path, model: Classifier) -> Bank:
    """Read a bank and check everything in it against the model.

    Raises:
        ValueError: if a shape, index, label, number or file name is not what a bank may hold.
    """
    found = read_layouts(path)
    tensors = read_tensors(path, declare_bank(path, found, model))
    check_sound(str(path), {"features": tensors["features"]})
    size, classes = len(tensors["features"]), len(model.class_names)
    for name, low, high in (
        ("indices", 0, 2**63 - 1),
        ("labels", -1, classes - 1),
        ("predicted", 0, classes - 1),
    ):
        least, most = int(tensors[name].min()), int(tensors[name].max())
        if least < low or most > high:
            raise ValueError(f"{path} must hold {name} in {low} to {high}, got {least} to {most}.")
    images = tensors.get("images")
    if (
        images is not None
        and images.is_floating_point()
        and not 0 <= images.min() <= images.max() <= 1
    ):
        raise ValueError(f"{path} must hold images in [0, 1], it is damaged.")
    return Bank(
        features=tensors["features"],
        indices=tensors["indices"],
        labels=tensors["labels"],
        predicted=tensors["predicted"],
        hashes=read_hashes(tensors["hashes"], images),
        images=images,
        sources=read_sources(path, tensors.get("sources"), size),
    )


def read_hashes(encoded: Tensor, images: Tensor | None) -> tuple[str, ...]:
    """Decode content hashes `(M, 16)`; those of float images are computed again.

    Floats once counted as their nearest uint8.
    """
    if images is not None and images.is_floating_point():
        return content_hashes(images)
    return tuple(row.tobytes().hex() for row in encoded.numpy())


def declare_bank(path: Path, found: dict[str, Layout], model: Classifier) -> dict[str, Layout]:
    """Say what a bank of the size that its file has must hold.

    Raises:
        ValueError: if it is empty, or its file names take too much.
    """
    nothing = Layout((0,), torch.float32)
    features = found.get("features", nothing)
    size = features.shape[0] if features.shape else 0
    if size == 0:
        raise ValueError(f"{path} must hold at least one image, got none.")
    dtype = features.dtype if features.dtype.is_floating_point else torch.float32
    declared = {
        "features": Layout((size, model.head.width), dtype),
        "indices": Layout((size,), torch.int64),
        "labels": Layout((size,), torch.int64),
        "predicted": Layout((size,), torch.int64),
        "hashes": Layout((size, 16), torch.uint8),
    }
    if "images" in found:
        dtype = found["images"].dtype
        kept = dtype if dtype.is_floating_point else torch.uint8
        declared["images"] = Layout((size, *model.image_shape), kept)
    if "sources" in found:
        length = found["sources"].shape[0] if found["sources"].shape else 0
        if length > size * LONGEST_SOURCE:
            raise ValueError(
                f"{path} must name sources in {LONGEST_SOURCE} bytes each, it is damaged."
            )
        declared["sources"] = Layout((length,), torch.uint8)
    return declared


def read_sources(path: Path, encoded: Tensor | None, size: int) -> tuple[str, ...] | None:
    """Decode the file names of a bank; absolute names and ``..`` are refused."""
    if encoded is None:
        return None
    try:
        names = json.loads(encoded.numpy().tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must hold its sources as JSON, it is damaged.") from error
    if not is_list_of_names(names) or len(names) != size:
        raise ValueError(f"{path} must name {size} sources, it is damaged.")
    check_sources(str(path), names)
    return tuple(names)


def check_sources(where: str, names: tuple[str, ...] | list[str]) -> None:
    """Refuse file names that are absolute or leave the dataset's folder, on any system.

    Raises:
        ValueError: naming ``where`` and the file.
    """
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or re.match("[A-Za-z]:", name):
            raise ValueError(
                f"{where} must name files inside the dataset's folder, got {quote(name)}."
            )


def is_list_of_names(value: object) -> TypeGuard[list[str]]:
    """Say whether a value read from JSON is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
