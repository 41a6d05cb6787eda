"""Turn an encoder into a classifier."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import nn

from whence.bounds import check_number, is_whole
from whence.encoders.adopt import EncoderKind, adopt_encoder
from whence.encoders.at_layers import take_layers
from whence.encoders.count_features import check_precision, count_features
from whence.encoders.load_weights import load_weights, read_weights
from whence.encoders.preparation import Preparation
from whence.kinds import check_arguments
from whence.memory import VARIANT
from whence.memory.heads import build_head
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.labels import read_class_names


@check_arguments
def wrap(
    encoder: nn.Module | str,
    classes: int | Sequence[str],
    *,
    variant: str = VARIANT,
    image_shape: tuple[int, int, int] = (3, 32, 32),
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    drop_classifier: bool | Literal["auto"] = "auto",
    layers: Sequence[str] = (),
    similarity: str = "cosine",
    classifier: str | None = None,
) -> Classifier:
    """Turn an encoder into a classifier that reads a memory.

    La Rosa et al. (2021), arXiv:2106.01440.

    Args:
        encoder: a module that maps `(B, C, H, W)` to `(B, D)`, or a name: one of ``ENCODERS``,
            "torchvision:NAME" or "timm:NAME".
        classes: the number of classes K, or their names.
        variant: a name from ``HEADS``: "memory-wrap", "only-memory" or "standard".
        image_shape: (C, H, W) that the encoder is probed with.
        weights: of the encoder: a .safetensors, .pt or .pth file, read without running anything in
            it; or "default", which downloads those of a torchvision or timm network. None leaves
            the encoder as it is, and one that is built by name random.
        mean: per channel, in [0, 1] pixel units; None is what the weights expect where that is
            known, else 0.
        std: per channel; None is what the weights expect where that is known, else 1.
        drop_classifier: "auto" drops the classifier of torchvision and timm models and of modules
            with an attribute fc, classifier, head or heads, also inside wrappers such as
            DataParallel; False keeps everything.
        layers: names of the encoder's modules; features are the means over the image of what they
            give, one behind the other, "output" among them being the encoder's own; ["all"]: of all
            its depths and its output; none: its own.
        similarity: "cosine", "l2" or "dot".
        classifier: the last layers, "mlp" or "linear"; None is the paper's choice: linear for
            the standard variant, mlp for the others.

    Raises:
        ValueError: if a name, or that of a layer, is unknown, the shapes or the weights do not fit,
            or there are under two classes.
        FileNotFoundError: if there is no such file of weights.
        ConnectionError: if "default" weights cannot be downloaded.
        PermissionError: if they cannot be kept in the library's cache.
    """
    names = read_class_names(classes)
    check_sides(image_shape)
    if weights is not None and (mean is None) != (std is None):
        raise ValueError("mean and std must be given together, or both be left to the weights.")
    network, kind = adopt_encoder(encoder, image_shape, drop_classifier)
    expected = None if weights is None else fill_encoder(network, kind, weights, image_shape)
    if expected is not None and mean is None and std is None:
        mean, std = expected.mean, expected.std
        if len(mean) != image_shape[0]:
            raise ValueError(
                f"The normalisation by {expected.source} is of {len(mean)} channels, image_shape "
                f"has {image_shape[0]}; give mean and std."
            )
    if layers:
        network = taken = take_layers(network, layers, image_shape)
        kind = replace(kind, layers=taken.layers)
    mean = [0.0] * image_shape[0] if mean is None else list(mean)
    std = [1.0] * image_shape[0] if std is None else list(std)
    check_normalisation(mean, std, channels=image_shape[0])
    features = count_features(network, image_shape)
    check_precision(network, image_shape)
    head = build_head(variant, features, len(names), similarity=similarity, classifier=classifier)
    model = Classifier(
        network,
        head,
        kind=kind,
        class_names=names,
        image_shape=image_shape,
        mean=mean,
        std=std,
    )
    model.pretrained = weights is not None
    return model


def check_sides(image_shape: Sequence[int]) -> None:
    """Refuse what is no (C, H, W) of images.

    Raises:
        ValueError: with what came.
    """
    if len(image_shape) != 3 or not all(is_whole(side) and side >= 1 for side in image_shape):
        raise ValueError(
            f"image_shape must be three whole numbers (C, H, W), got {quote(image_shape)}."
        )


def fill_encoder(
    network: nn.Module,
    kind: EncoderKind,
    weights: str | Path,
    image_shape: tuple[int, int, int],
) -> Preparation | None:
    """Read weights into an encoder, as ``whence train --weights`` does.

    Returns:
        What they expect of their images; None where nobody says.
    """
    found = read_weights(kind, weights, image_shape)
    load_weights(network, found)
    return found.prepared


def check_normalisation(mean: Sequence[float], std: Sequence[float], *, channels: int) -> None:
    """Refuse a mean and a deviation that are not of so many channels, or no pixels can have.

    Raises:
        ValueError: with what came.
    """
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"mean and std must have one number per channel ({channels}), "
            f"got {len(mean)} and {len(std)}."
        )
    for name, numbers in (("mean", mean), ("std", std)):
        for number in numbers:
            check_number(name, number)
