"""Import of the models that the paper's code saved.

La Rosa et al. (2021), arXiv:2106.01440.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from whence.compat.names import AUTHORS_MODELS, MODALITIES
from whence.compat.preparation import PREPARATIONS, VIT_PREPARATIONS, AuthorsPreparation
from whence.encoders.vit import vit
from whence.encoders.weights import fill
from whence.encoders.weights_file import only_tensors, read_pytorch_file
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.records.labels import MOST_CLASSES

Value = TypeVar("Value")

SHAPE = (3, 32, 32)

RENAMED = {  # what precedes their name -> what precedes ours, for all that is not the encoder's
    "mw.classifier.fc1.": "head.classifier.0.",
    "mw.classifier.fc2.": "head.classifier.2.",
    "mw.fc.fc1.": "head.classifier.0.",  # the library before 2022
    "mw.fc.fc2.": "head.classifier.2.",
    "linear.": "head.classifier.",
}
VIT_RENAMED = {**RENAMED, "fc.1.": "head.classifier."}

CHECKPOINT_FIELDS = ("model_state_dict", "model_name", "num_classes", "modality", "dataset_name")


def load_authors_checkpoint(path: str | Path, *, dataset_name: str | None = None) -> Classifier:
    """Read a model that the paper's code saved. Nothing in the file is run.

    Checkpoints of the seven convolutional encoders say themselves what they are. The ViT files are
    bare parameters: their variant is seen from the shapes, their dataset must be named. Sizes other
    than the paper's (7 layers, D=384, perceptron 384, class token, 32x32 RGB) are refused; the
    number of heads leaves no mark in a file and is taken to be 12.

    The Memory Wrap and Only Memory variants of their ViT never use its last normalisation, so those
    models come back on an encoder of kind "module": ``whence.load`` needs
    ``encoder=whence.encoders.vit.vit(final_norm=False)`` for what they ``save``.

    Args:
        path: a .pt or .pth file.
        dataset_name: "SVHN", "CIFAR10" or "CINIC10"; needed for a ViT file only, elsewhere it must
            agree with the file.

    Returns:
        The model in eval mode, with that dataset's normalisation and class names, and no bank.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is unsafe or damaged, or something in it is missing, unknown or of
            the wrong shape.
    """
    path = Path(path)
    content = read_pytorch_file(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a dict, got a {type(content).__name__}.")
    if "model_state_dict" not in content and any("pos_emb" in str(key) for key in content):
        return load_vit(only_tensors(content, path), path, dataset_name)
    missing = [field for field in CHECKPOINT_FIELDS if field not in content]
    if missing:
        raise ValueError(
            f"{path} must be a checkpoint of the authors or the parameters of their ViT, "
            f"it lacks {', '.join(missing)}."
        )
    name = look_up_field("model_name", content["model_name"], AUTHORS_MODELS, path)
    variant = look_up_field("modality", content["modality"], MODALITIES, path)
    preparation = look_up_field("dataset_name", content["dataset_name"], PREPARATIONS, path)
    if dataset_name not in (None, content["dataset_name"]):
        raise ValueError(
            f"dataset_name must be {quote(content['dataset_name'])}, which {path} says, "
            f"got {quote(dataset_name)}."
        )
    found = rename_keys(only_tensors(content["model_state_dict"], path), RENAMED)
    classes = read_classes(found, path)
    if content["num_classes"] != classes:
        raise ValueError(
            f"{path} must have a last layer of num_classes={quote(content['num_classes'])} rows, "
            f"got {classes}."
        )
    return build_authors_model(name, variant, preparation, found, path)


def load_vit(found: dict[str, Tensor], path: Path, dataset_name: str | None) -> Classifier:
    """Build the model of a ViT file, a bare state dict that a trainer may have prefixed."""
    if dataset_name is None:
        raise ValueError(
            f"{path} holds a ViT and does not say its dataset; pass dataset_name: "
            f"{', '.join(VIT_PREPARATIONS)}."
        )
    preparation = look_up_field("dataset_name", dataset_name, VIT_PREPARATIONS, path)
    bare = {key.removeprefix("model."): tensor for key, tensor in found.items()}
    found = rename_keys(bare, VIT_RENAMED)
    if "head.classifier.weight" in found:
        return build_authors_model("vit", "standard", preparation, found, path)
    hidden = found.get("head.classifier.0.weight", torch.empty(0, 0))
    variant: str = "only-memory" if hidden.shape[-1:] == (384,) else "memory-wrap"
    used = {key: tensor for key, tensor in found.items() if not key.startswith("encoder.fc.0.")}
    return build_authors_model(vit(final_norm=False), variant, preparation, used, path)


def look_up_field(field: str, name: object, table: Mapping[str, Value], path: Path) -> Value:
    """Look a field of a file up in a table."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(
            f"{path} has an unknown {field} {quote(name)}. Choose from: {', '.join(table)}."
        )
    return table[name]


def rename_keys(found: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Give parameters our names: the last layers go to the head, the rest to the encoder."""
    renamed = {}
    for key, tensor in found.items():
        theirs = next((prefix for prefix in names if key.startswith(prefix)), "")
        renamed[names.get(theirs, "encoder.") + key.removeprefix(theirs)] = tensor
    return renamed


def read_classes(found: Mapping[str, Tensor], path: Path) -> int:
    """Return K, read off the last layer."""
    last = found.get("head.classifier.2.bias", found.get("head.classifier.bias"))
    if last is None or last.ndim != 1 or not 2 <= len(last) <= MOST_CLASSES:
        shape = "none" if last is None else f"shape {tuple(last.shape)}"
        raise ValueError(
            f"{path} must have a last layer (mw.classifier.fc2, mw.fc.fc2 or linear) with a bias "
            f"of 2 to {MOST_CLASSES} classes, got {shape}."
        )
    return len(last)


def build_authors_model(
    encoder: nn.Module | str,
    variant: str,
    preparation: AuthorsPreparation,
    found: dict[str, Tensor],
    path: Path,
) -> Classifier:
    """Build the model and copy the parameters in, all of which must be found and used."""
    classes = read_classes(found, path)
    named = classes == len(preparation.class_names)
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten
        model = wrap(
            encoder,
            preparation.class_names if named else classes,
            variant=variant,
            image_shape=SHAPE,
            mean=preparation.mean,
            std=preparation.std,
        )
    extra = sorted(found.keys() - model.state_dict().keys())
    if extra:
        raise ValueError(f"{path} must hold a {variant} model, {extra[0]} has no place in one.")
    fill(model, {**found, "mean": model.mean, "std": model.std}, str(path))
    return model.eval()
