"""Write a model to a folder: safetensors and JSON, nothing that can execute."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from whence.encoders.at_layers import network_of
from whence.kinds import check_arguments
from whence.models.about import BANK, DONE, FORMAT, MODEL, find_problem_of_run
from whence.models.classifier import Classifier
from whence.models.saved_bank import bank_to_tensors
from whence.models.saved_calibration import calibration_to_json
from whence.models.saved_decision import decision_to_json
from whence.models.saved_votes import (
    count_even_directions,
    handicaps_to_json,
    plain_share_to_json,
)
from whence.models.sound import check_sound
from whence.storage.tensors import write_tensors
from whence.storage.whole_files import write_json

PACKAGES = ("whence", "torch", "torchvision", "numpy")


@check_arguments
def save(model: Classifier, folder: str | Path, *, pixels: bool = True) -> None:
    """Write a model, and its bank if it has one, to a folder.

    The bank holds the pixels of the memory images: whoever gets the folder can see them. With
    ``pixels=False`` they are left out, and explanations show indices only.

    Args:
        model: the classifier.
        folder: made if it is not there; must not hold a model yet.
        pixels: keep the memory images' pixels.

    Raises:
        FileExistsError: if the folder holds a file of one of the names that this writes.
        RuntimeError: if parameters changed since the bank was made.
        ValueError: if the model holds NaN, or anything else that ``load`` would refuse.
    """
    folder = Path(folder)
    for name in (DONE, MODEL, BANK):
        if (folder / name).exists() or (folder / name).is_symlink():
            raise FileExistsError(f"{folder} already holds {name}; save to another folder.")
    write_model(model, folder, pixels=pixels)


def write_model(
    model: Classifier, folder: Path, *, pixels: bool, about: dict[str, Any] | None = None
) -> None:
    """Do what ``save`` does, over what an interrupted ``save`` left in the folder.

    Args:
        model: the classifier.
        folder: of the run.
        pixels: keep the memory images' pixels.
        about: JSON that identifies the run, kept under "run".
    """
    state = model.state_dict()
    check_sound("model", state)
    bank = None
    if model.bank is not None:
        bank = bank_to_tensors(model.fitting_bank(), pixels=pixels)
    description = describe(model)
    problem = find_problem_of_run({**description, "sha256": {}, "run": {}})
    if problem is not None:
        raise ValueError(f"model {problem}; it cannot be saved.")
    hashes = {MODEL: write_tensors(folder / MODEL, state)}
    if bank is not None:
        hashes[BANK] = write_tensors(folder / BANK, bank)
    write_json(folder / DONE, {**description, "sha256": hashes, "run": about or {}})


def describe(model: Classifier) -> dict[str, Any]:
    """Collect what is needed to build the model again, besides its tensors."""
    return {
        "format": FORMAT,
        "classes": list(model.class_names),
        "image_shape": list(model.image_shape),
        "variant": model.variant,
        "similarity": model.head.similarity,
        "classifier": model.head.last_layers,
        "features": model.features,
        "dtype": str(model.mean.dtype).removeprefix("torch."),
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "encoder": {
            "family": model.kind.family,
            "name": model.kind.name,
            "type": type(network_of(model.encoder)).__qualname__,
            "layers": list(model.kind.layers),
        },
        "calibration": calibration_to_json(model.calibration),
        "decision": decision_to_json(model.decision),
        "handicaps": handicaps_to_json(model.head),
        "plain_share": plain_share_to_json(model.head),
        "even_directions": count_even_directions(model.head),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {package: version(package) for package in PACKAGES},
    }
