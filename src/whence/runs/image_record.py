"""Which images a run was made with: their hashes, labels and files, kept in its folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.models.classifier import Classifier
from whence.models.saved_bank import LONGEST_SOURCE, check_sources, read_sources
from whence.records.images import ImageSet
from whence.storage.plain_files import hash_file
from whence.storage.tensors import Layout, read_layouts, read_tensors, write_tensors

RECORD = "images.safetensors"
RECORD_HASH = "images_sha256"
"""What ``whence.json`` calls the hash of that file; runs of before have none."""

RECORDED_PARTS = ("train", "validation", "test")
HASH_BYTES = 16

NO_RECORD = (
    "The run does not say which images it was made with (an older whence made it): images that it "
    "was trained on are not found among those that are measured, unless they are in its memory."
)


class PartRecord(NamedTuple):
    """The images of one part of a run, in their order."""

    hashes: tuple[str, ...]  # of the pixels, as the model was given them
    labels: Tensor  # (n,) int64
    sources: tuple[str, ...] | None  # one file per image


class ImageRecord(NamedTuple):
    """The images that a run was made with."""

    train: PartRecord
    validation: PartRecord
    test: PartRecord
    indices: Tensor  # (n,) int64, places of ``train`` among the dataset's training images


def write_image_record(
    folder: Path,
    parts: Mapping[str, ImageSet],
    hashes: Mapping[str, tuple[str, ...]],
    indices: Tensor,
) -> str:
    """Write which images a run was made with, and return the file's SHA-256.

    Args:
        folder: of the run.
        parts: train, validation and test.
        hashes: of the images of each part.
        indices: `(n,)` places of the images of ``train`` among the dataset's training images.

    Raises:
        ValueError: if a file name is absolute or leaves the dataset's folder.
    """
    tensors = {"train.indices": indices}
    for name, images in parts.items():
        packed = torch.tensor(list(bytes.fromhex("".join(hashes[name]))), dtype=torch.uint8)
        tensors[f"{name}.hashes"] = packed.view(-1, HASH_BYTES)  # (n, 16)
        tensors[f"{name}.labels"] = images.labels
        if images.sources is not None:
            check_sources("sources", images.sources)
            encoded = json.dumps(images.sources).encode()
            tensors[f"{name}.sources"] = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
    return write_tensors(folder / RECORD, tensors)


def hash_parts(parts: Mapping[str, ImageSet]) -> dict[str, tuple[str, ...]]:
    """Hash the pixels of every image."""
    return {name: content_hashes(images.images) for name, images in parts.items()}


def read_image_record(folder: Path, about: Mapping[str, Any]) -> ImageRecord | None:
    """Read which images a run was made with.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.

    Returns:
        None for a run of a version that kept no such record.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is damaged.
    """
    expected = about["run"].get(RECORD_HASH)
    if expected is None:
        return None
    path = folder / RECORD
    found = read_layouts(path)
    if hash_file(path) != expected:
        raise ValueError(f"{path} must have the hash in whence.json, it is damaged.")
    tensors = read_tensors(path, declare_record(path, found))
    train, validation, test = (
        read_part_record(path, tensors, name, classes=len(about["classes"]))
        for name in RECORDED_PARTS
    )
    return ImageRecord(train, validation, test, tensors["train.indices"])


def find_seen(model: Classifier, record: ImageRecord | None) -> dict[str, frozenset[str]]:
    """Collect the hashes of the images that a run has seen, by where it has seen them.

    Args:
        model: of the run.
        record: of the run's images; without one only those in the memory are known.
    """
    seen = {} if model.bank is None else {"memory": frozenset(model.bank.hashes)}
    if record is None:
        return seen
    return {
        **seen,
        "train": frozenset(record.train.hashes),
        "validation": frozenset(record.validation.hashes),
    }


def note_record(record: ImageRecord | None) -> tuple[str, ...]:
    """Say what cannot be found out without a record, in one sentence, or nothing."""
    return (NO_RECORD,) if record is None else ()


def declare_record(path: Path, found: Mapping[str, Layout]) -> dict[str, Layout]:
    """Say what a record of as many images as its file has must hold.

    Raises:
        ValueError: if the names of the files take too much.
    """
    declared = {}
    for part in RECORDED_PARTS:
        layout = found.get(f"{part}.labels")
        size = layout.shape[0] if layout is not None and layout.shape else 0
        declared[f"{part}.labels"] = Layout((size,), torch.int64)
        declared[f"{part}.hashes"] = Layout((size, HASH_BYTES), torch.uint8)
        if part == "train":
            declared["train.indices"] = Layout((size,), torch.int64)
        if f"{part}.sources" in found:
            shape = found[f"{part}.sources"].shape
            length = shape[0] if shape else 0
            if length > size * LONGEST_SOURCE + 2:  # an empty list has two characters
                raise ValueError(
                    f"{path} must name sources in {LONGEST_SOURCE} bytes each, it is damaged."
                )
            declared[f"{part}.sources"] = Layout((length,), torch.uint8)
    return declared


def read_part_record(
    path: Path, tensors: Mapping[str, Tensor], part: str, *, classes: int
) -> PartRecord:
    """Read one part of a record, checked.

    Raises:
        ValueError: if a label is no class, or the names of the files are not one per image.
    """
    labels = tensors[f"{part}.labels"]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"{path} must hold labels below {classes}, it is damaged.")
    return PartRecord(
        tuple(row.tobytes().hex() for row in tensors[f"{part}.hashes"].numpy()),
        labels,
        read_sources(path, tensors.get(f"{part}.sources"), len(labels)),
    )
