"""Features of a frozen encoder, kept in files: images are encoded once for all runs of a folder."""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from whence.bounds import BATCH_SIZE
from whence.data.fingerprint import fingerprint
from whence.encoders.weights import hash_tensors
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.storage.lock import LOCK, hold
from whence.storage.tensors import Layout, read_tensors, write_tensors
from whence.storage.whole_files import is_leftover
from whence.training.distributed import Team
from whence.training.shared_step import encode_together

FEATURES = "features"
"""The folder of the files, in that of a run, or of many seeds."""

ENDING = ".safetensors"
DIGEST_BYTES = 32


def encode_once(
    model: Classifier,
    images: ImageSet,
    folder: Path,
    *,
    batch_size: int = BATCH_SIZE,
    team: Team | None = None,
) -> Tensor:
    """Return the features `(N, D)` of images, from a file where they were encoded before.

    A process that finds another one at work in the folder waits for it. A file that is damaged is
    not used; the images are encoded again, and a note says so.

    Args:
        model: in eval mode, with an encoder that is not trained.
        images: N of them, at least one.
        folder: of the files; made if it is not there.
        batch_size: images encoded at once.
        team: the processes that encode the images together, each calling this with the same
            arguments. Their leader alone reads and writes the folder.

    Returns:
        On the device of the model; the same numbers whether there was a file or not.

    Raises:
        RuntimeError: if the model is in training mode.
        ValueError: if images are of another shape than the model's, or features are not finite.
    """
    team = team or Team()
    name = name_features(model, images, batch_size=batch_size, processes=team.size)
    path, size = folder / f"{name}{ENDING}", (len(images), model.features)
    device = model.mean.device
    with team.in_lead(hold(folder, wait=True), None):
        found = team.lead(lambda: read_features(path, size, model.mean.dtype))
        if found is None:
            found = encode_together(model, images.images, team, batch_size=batch_size)
            encoded = found.cpu()
            team.lead(lambda: write_features(path, encoded))
    return found.to(device)


def name_features(model: Classifier, images: ImageSet, *, batch_size: int, processes: int) -> str:
    """Hash all that decides the features of images, to 64 hexadecimal digits.

    The batch size is part of it, because rounding may depend on it.
    """
    content = {
        "encoder": [model.kind.family, model.kind.name, *model.kind.layers],
        "weights": hash_tensors(model.encoder.state_dict()),
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "precision": str(model.mean.dtype),
        "images": fingerprint(images),
        "device": model.mean.device.type,
        "batch_size": batch_size,
        "processes": processes,
        "versions": {package: version(package) for package in ("whence", "torch")},
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def write_features(path: Path, features: Tensor) -> None:
    """Write features `(N, D)` together with their SHA-256; whole, or not at all."""
    digest = bytearray.fromhex(hash_tensors({"features": features}))
    hashed = torch.frombuffer(digest, dtype=torch.uint8)
    write_tensors(path, {"features": features, "sha256": hashed})


def read_features(path: Path, size: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
    """Read the features of a file; None if there is none, or it is damaged, which is said.

    Args:
        path: of the file.
        size: (N, D) that the features must have.
        dtype: that they must have.
    """
    wanted = {"features": Layout(size, dtype), "sha256": Layout((DIGEST_BYTES,), torch.uint8)}
    try:
        found = read_tensors(path, wanted)
        features, kept = found["features"], found["sha256"].numpy().tobytes().hex()
        if hash_tensors({"features": features}) != kept:
            raise ValueError(f"{path} must have the hash that it holds, it is damaged.")
    except FileNotFoundError:
        return None
    except ValueError as error:
        tqdm.write(f"note: {error} Its images are encoded again.", file=sys.stderr)
        return None
    return features


def remove_features(folder: Path) -> None:
    """Remove the folder of kept features, if it is there and holds nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        ours = path.suffix == ENDING or path.name == LOCK or is_leftover(path)
        if ours and (path.is_symlink() or not path.is_dir()):
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
