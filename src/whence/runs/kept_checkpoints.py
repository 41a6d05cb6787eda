"""The model of a run as it was after some of its epochs, kept to look back at."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from whence.encoders.weights import copy_into
from whence.models.classifier import Classifier
from whence.storage.checkpoint import Checkpoint
from whence.storage.plain_files import hash_file, read_json
from whence.storage.tensors import layouts_of, read_tensors, write_tensors
from whence.storage.whole_files import write_json

KEPT_FOLDER = "kept"
"""In the folder of a run."""


def keep_epoch(folder: Path, model: nn.Module, epoch: int) -> None:
    """Write ``kept/epoch-N``, the model's tensors and then a JSON with their hash.

    A pair whose JSON is there and fits is complete.
    """
    path = folder / KEPT_FOLDER / f"epoch-{epoch}.safetensors"
    path.with_suffix(".json").unlink(missing_ok=True)  # that of a start before
    digest = write_tensors(path, model.state_dict())
    write_json(path.with_suffix(".json"), {"epoch": epoch, "sha256": digest})


def start_keeping(
    folder: Path, model: nn.Module, checkpoint: Checkpoint | None, steps: int
) -> None:
    """Keep the model of the start as epoch 0, or drop what a training goes on from makes again.

    Args:
        folder: of the run.
        model: as it is before the first step of this start.
        checkpoint: where the training goes on; None at its start.
        steps: of each epoch.
    """
    drop_kept_after(folder, -1 if checkpoint is None else checkpoint.numbers["step"] // steps)
    if checkpoint is None:
        keep_epoch(folder, model, 0)


def find_kept(folder: Path) -> list[int]:
    """List the epochs whose model was kept whole, in order."""
    kept = folder / KEPT_FOLDER
    names = [path.name for path in kept.iterdir()] if kept.is_dir() else []
    found = (re.fullmatch(r"epoch-(\d+)\.json", name) for name in names)
    return sorted(int(match[1]) for match in found if match)


def drop_kept_after(folder: Path, epoch: int) -> None:
    """Remove what was kept after an epoch, which a training that goes on from it makes again."""
    kept = folder / KEPT_FOLDER
    for path in [*kept.iterdir()] if kept.is_dir() else []:
        match = re.fullmatch(r"epoch-(\d+)\.(json|safetensors)", path.name)
        if match and int(match[1]) > epoch:
            path.unlink()


def read_kept_encoder(folder: Path, model: Classifier, epoch: int) -> nn.Module:
    """Read the encoder of a run as it was after an epoch; ``model`` is that of the end.

    Returns:
        A module of its own, in eval mode, on the model's device.

    Raises:
        FileNotFoundError: if it was not kept.
        ValueError: if the file is damaged, or of another model.
    """
    encoder = copy.deepcopy(model.encoder)
    copy_into(encoder, take_encoder(read_kept(folder, model, epoch)))
    return encoder


def read_kept(folder: Path, model: Classifier, epoch: int) -> dict[str, Tensor]:
    """Read all tensors of a kept model, which fit ``model``."""
    path = folder / KEPT_FOLDER / f"epoch-{epoch}.safetensors"
    expected = read_json(path.with_suffix(".json")).get("sha256")
    tensors = read_tensors(path, layouts_of(model.state_dict()))
    if hash_file(path) != expected:
        raise ValueError(f"{path} must have the hash in its JSON, it is damaged.")
    return tensors


def take_encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep the tensors of the encoder, under the names that it gives them."""
    start = "encoder."
    return {
        name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)
    }
