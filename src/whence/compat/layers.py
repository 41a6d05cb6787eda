"""The authors' two layers by their own names, and import of their files.

La Rosa et al. (2021), arXiv:2106.01440; library memorywrap 1.1.7 and the older 1.0.6, and the code
of the paper.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from whence.compat.train_yaml import MODALITIES
from whence.encoders.vit import vit
from whence.encoders.weights import fill
from whence.encoders.weights_file import only_tensors, read_pytorch_file
from whence.memory import SIMILARITIES
from whence.memory.attention import recall, score, weigh
from whence.models.classifier import Classifier
from whence.models.wrap import wrap

Value = TypeVar("Value")

SHAPE = (3, 32, 32)
OBJECTS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass(frozen=True)
class Source:
    """How the authors prepared one dataset: class names, mean and deviation in pixels of [0, 1]."""

    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


DATASETS = {
    "SVHN": Source(tuple("0123456789"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR10": Source(OBJECTS, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "CINIC10": Source(
        OBJECTS,
        (0.47889522, 0.47227842, 0.43047404),
        (0.24205776, 0.23828046, 0.25874835),
    ),
}
"""The datasets of their checkpoints."""

VIT_DATASETS = {
    "SVHN": Source(tuple("0123456789"), (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "CIFAR10": Source(OBJECTS, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CINIC10": DATASETS["CINIC10"],
}
"""The same for their ViT, which was trained with other means and deviations."""

ENCODERS = {
    "mobilenet": "mobilenet_v2",
    "efficientnet": "efficientnet_b0",
    "resnet18": "resnet18",
    "googlenet": "googlenet",
    "densenet": "densenet",
    "densenet169": "densenet",  # their code builds the small one under this name too
    "shufflenet": "shufflenet_v2",
    "wide-resnet": "wide_resnet_28_10",
}
"""Their model names and ours."""

RENAMED = {  # what precedes their name -> what precedes ours, for all that is not the encoder's
    "mw.classifier.fc1.": "head.classifier.0.",
    "mw.classifier.fc2.": "head.classifier.2.",
    "mw.fc.fc1.": "head.classifier.0.",  # the library before 2022
    "mw.fc.fc2.": "head.classifier.2.",
    "linear.": "head.classifier.",
}
VIT_RENAMED = {**RENAMED, "fc.1.": "head.classifier."}
MOST_CLASSES = 100_000

FIELDS = ("model_state_dict", "model_name", "num_classes", "modality", "dataset_name")


class MemoryWrapLayer(nn.Module):
    """Classify encodings joined with what they read in the memory, called as in ``memorywrap``.

    Args:
        encoder_output_dim: D; version 1.0.6 documents it as ``encoder_dim``.
        output_dim: K.
        classifier: maps `(B, 2D)` to `(B, K)`; None is the paper's perceptron. An activation such
            as ``nn.ReLU()`` in this place is taken for the third argument of version 1.0.6.
        distance: "cosine", "l2" (squared) or "dot".
        mlp_activation: of the perceptron, version 1.0.6; None is ReLU.
        encoder_dim: the older name of ``encoder_output_dim``.

    Raises:
        ValueError: if the distance is unknown, or arguments contradict each other.
    """

    def __init__(
        self,
        encoder_output_dim: int | None = None,
        output_dim: int | None = None,
        classifier: nn.Module | None = None,
        distance: str = "cosine",
        *,
        mlp_activation: nn.Module | None = None,
        encoder_dim: int | None = None,
    ) -> None:
        super().__init__()
        features = one_of(encoder_output_dim, encoder_dim)
        self.distance_name = check_distance(distance)
        self.classifier = last_layers(
            2 * features, 4 * features, output_dim, classifier, mlp_activation
        )
        # torch leaves it without types
        self.register_load_state_dict_pre_hook(rename_old_keys)  # type: ignore[no-untyped-call]

    def forward(
        self, input_encoding: Tensor, memory_encoding: Tensor, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Classify `(B, D)` encodings with a memory `(M, D)`.

        Returns:
            Logits `(B, K)`, or with ``return_weights`` a pair with the weights `(B, M)`.
        """
        weights, vector = read(input_encoding, memory_encoding, self.distance_name)
        logits: Tensor = self.classifier(torch.cat([input_encoding, vector], dim=1))
        return (logits, weights) if return_weights else logits


class BaselineMemory(nn.Module):
    """Classify what encodings read in the memory alone, called as in ``memorywrap``.

    Args:
        encoder_output_dim: D; version 1.0.6 documents it as ``encoder_dim``.
        output_dim: K.
        classifier: maps `(B, D)` to `(B, K)`; None is the paper's perceptron. An activation such
            as ``nn.ReLU()`` in this place is taken for the third argument of version 1.0.6.
        distance: "cosine", "l2" (squared) or "dot".
        mlp_activation: of the perceptron, version 1.0.6; None is ReLU.
        encoder_dim: the older name of ``encoder_output_dim``.

    Raises:
        ValueError: if the distance is unknown, or arguments contradict each other.
    """

    def __init__(
        self,
        encoder_output_dim: int | None = None,
        output_dim: int | None = None,
        classifier: nn.Module | None = None,
        distance: str = "cosine",
        *,
        mlp_activation: nn.Module | None = None,
        encoder_dim: int | None = None,
    ) -> None:
        super().__init__()
        features = one_of(encoder_output_dim, encoder_dim)
        self.distance_name = check_distance(distance)
        self.classifier = last_layers(
            features, 2 * features, output_dim, classifier, mlp_activation
        )
        # torch leaves it without types
        self.register_load_state_dict_pre_hook(rename_old_keys)  # type: ignore[no-untyped-call]

    def forward(
        self, input_encoding: Tensor, memory_encoding: Tensor, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Classify `(B, D)` encodings with a memory `(M, D)`.

        Returns:
            Logits `(B, K)`, or with ``return_weights`` a pair with the weights `(B, M)`.
        """
        weights, vector = read(input_encoding, memory_encoding, self.distance_name)
        logits: Tensor = self.classifier(vector)
        return (logits, weights) if return_weights else logits


def read(queries: Tensor, memory: Tensor, distance: str) -> tuple[Tensor, Tensor]:
    """Compute the weights `(B, M)` in float32 or more, and the memory vector `(B, D)`."""
    weights = weigh(score(queries, memory, similarity=distance))
    return weights, recall(weights, memory).to(queries.dtype)


def one_of(encoder_output_dim: int | None, encoder_dim: int | None) -> int:
    """Return D from whichever of its two names was used."""
    given = [number for number in (encoder_output_dim, encoder_dim) if number is not None]
    if len(given) != 1:
        raise ValueError(
            f"encoder_output_dim (or encoder_dim) must be given once, got {len(given)} numbers."
        )
    return given[0]


def check_distance(distance: str) -> str:
    """Return the distance if it is a known one."""
    if distance not in SIMILARITIES:
        raise ValueError(f"Unknown distance {distance!r}. Choose from: {', '.join(SIMILARITIES)}.")
    return distance


def last_layers(
    width: int,
    hidden: int,
    classes: int | None,
    classifier: nn.Module | None,
    activation: nn.Module | None,
) -> nn.Module:
    """Return the classifier given, or build the perceptron ``width -> hidden -> classes``."""
    if type(classifier).__module__ == "torch.nn.modules.activation":
        classifier, activation = None, one_activation(classifier, activation)
    if classifier is not None:
        if activation is not None:
            raise ValueError("mlp_activation must be left out when a classifier is given.")
        return classifier
    if classes is None:
        raise ValueError("output_dim must be the number of classes, got None.")
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            fc1=nn.Linear(width, hidden),
            activation=nn.ReLU() if activation is None else activation,
            fc2=nn.Linear(hidden, classes),
        )
    )


def one_activation(third: nn.Module | None, named: nn.Module | None) -> nn.Module | None:
    """Return the activation that came as the third argument, unless it came by name as well."""
    if named is not None:
        raise ValueError("mlp_activation must be given once, got it twice.")
    return third


def rename_old_keys(_module: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    """Read the key layout ``fc.fc1`` of the library before 2022 as ``classifier.fc1``."""
    old = f"{prefix}fc."
    for key in [key for key in state if key.startswith(old)]:
        state[f"{prefix}classifier.{key.removeprefix(old)}"] = state.pop(key)


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
    missing = [field for field in FIELDS if field not in content]
    if missing:
        raise ValueError(
            f"{path} must be a checkpoint of the authors or the parameters of their ViT, "
            f"it lacks {', '.join(missing)}."
        )
    name = choose("model_name", content["model_name"], ENCODERS, path)
    variant = choose("modality", content["modality"], MODALITIES, path)
    source = choose("dataset_name", content["dataset_name"], DATASETS, path)
    if dataset_name not in (None, content["dataset_name"]):
        raise ValueError(
            f"dataset_name must be {content['dataset_name']!r}, which {path} says, "
            f"got {dataset_name!r}."
        )
    found = rename(only_tensors(content["model_state_dict"], path), RENAMED)
    classes = count_classes(found, path)
    if content["num_classes"] != classes:
        raise ValueError(
            f"{path} must have a last layer of num_classes={content['num_classes']!r} rows, "
            f"got {classes}."
        )
    return build(name, variant, source, found, path)


def load_vit(found: dict[str, Tensor], path: Path, dataset_name: str | None) -> Classifier:
    """Build the model of a ViT file, a bare state dict that a trainer may have prefixed."""
    if dataset_name is None:
        raise ValueError(
            f"{path} holds a ViT and does not say its dataset; pass dataset_name: "
            f"{', '.join(VIT_DATASETS)}."
        )
    source = choose("dataset_name", dataset_name, VIT_DATASETS, path)
    bare = {key.removeprefix("model."): tensor for key, tensor in found.items()}
    found = rename(bare, VIT_RENAMED)
    if "head.classifier.weight" in found:
        return build("vit", "standard", source, found, path)
    hidden = found.get("head.classifier.0.weight", torch.empty(0, 0))
    variant: str = "only-memory" if hidden.shape[-1:] == (384,) else "memory-wrap"
    used = {key: tensor for key, tensor in found.items() if not key.startswith("encoder.fc.0.")}
    return build(vit(final_norm=False), variant, source, used, path)


def choose(field: str, name: object, table: Mapping[str, Value], path: Path) -> Value:
    """Look a field of a file up in a table."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(
            f"{path} has an unknown {field} {name!r}. Choose from: {', '.join(table)}."
        )
    return table[name]


def rename(found: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Give parameters our names: the last layers go to the head, the rest to the encoder."""
    renamed = {}
    for key, tensor in found.items():
        theirs = next((prefix for prefix in names if key.startswith(prefix)), "")
        renamed[names.get(theirs, "encoder.") + key.removeprefix(theirs)] = tensor
    return renamed


def count_classes(found: Mapping[str, Tensor], path: Path) -> int:
    """Return K, read off the last layer."""
    last = found.get("head.classifier.2.bias", found.get("head.classifier.bias"))
    if last is None or last.ndim != 1 or not 2 <= len(last) <= MOST_CLASSES:
        shape = "none" if last is None else f"shape {tuple(last.shape)}"
        raise ValueError(
            f"{path} must have a last layer (mw.classifier.fc2, mw.fc.fc2 or linear) with a bias "
            f"of 2 to {MOST_CLASSES} classes, got {shape}."
        )
    return len(last)


def build(
    encoder: nn.Module | str, variant: str, source: Source, found: dict[str, Tensor], path: Path
) -> Classifier:
    """Build the model and copy the parameters in, all of which must be found and used."""
    classes = count_classes(found, path)
    named = classes == len(source.class_names)
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten
        model = wrap(
            encoder,
            source.class_names if named else classes,
            variant,
            SHAPE,
            source.mean,
            source.std,
        )
    extra = sorted(found.keys() - model.state_dict().keys())
    if extra:
        raise ValueError(f"{path} must hold a {variant} model, {extra[0]} has no place in one.")
    fill(model, {**found, "mean": model.mean, "std": model.std}, str(path))
    return model.eval()
