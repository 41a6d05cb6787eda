"""Encoders that are not ours: any network of torchvision or timm, and any module of the user's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from whence.encoders import ENCODERS, check_encoder
from whence.encoders.weights import fill, hash_tensors, read_state_dict

Family = Literal["whence", "torchvision", "timm", "own"]
FAMILIES: tuple[str, ...] = get_args(Family)

CLASSIFIERS = ("fc", "classifier", "head", "heads")
"""Attributes that hold a network's classifier by convention."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

BUILD_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    ArithmeticError,
)
"""What networks raise on sizes that they were not made for."""


@dataclass(frozen=True)
class EncoderKind:
    """Where an encoder comes from, which is what a saved model needs to build it again.

    Attributes:
        family: "whence", "torchvision", "timm", or "own" for a module that was passed in.
        name: its name in that family; for "own" the name of its class.
    """

    family: Family
    name: str

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(
                f"Unknown encoder family {self.family!r}. Choose from: {', '.join(FAMILIES)}."
            )


def build_encoder(name: str, image_shape: tuple[int, int, int]) -> tuple[nn.Module, EncoderKind]:
    """Build a network by name, with random parameters and without its classifier.

    Nothing is downloaded; pretrained weights are the business of :func:`load_weights`.

    Args:
        name: one of ``ENCODERS``, "torchvision:NAME" or "timm:NAME".
        image_shape: (C, H, W).

    Raises:
        ValueError: if the name is unknown, or the network cannot be built for the shape.
        ModuleNotFoundError: if timm is asked for and not installed.
    """
    family, colon, plain = name.partition(":")
    channels, height, width = image_shape
    if colon and family == "torchvision":
        return build_torchvision(plain, image_shape), EncoderKind("torchvision", plain)
    if colon and family == "timm":
        return build_timm(plain, image_shape), EncoderKind("timm", plain)
    check_encoder(name)
    encoder: nn.Module = ENCODERS[name](channels, (height, width))
    return encoder, EncoderKind("whence", name)


def adopt_encoder(
    encoder: nn.Module | str,
    image_shape: tuple[int, int, int],
    drop: bool | Literal["auto"] = "auto",
) -> tuple[nn.Module, EncoderKind]:
    """Turn what a user passes as an encoder into a module without a classifier.

    Args:
        encoder: a module, or a name for :func:`build_encoder`.
        image_shape: (C, H, W).
        drop: "auto" drops the classifier of a module that has one, True insists on it, False uses
            the module as it is.

    Raises:
        TypeError: if the encoder is neither a module nor a name.
        ValueError: on an unknown name, or where ``drop`` cannot be done.
    """
    if isinstance(encoder, str):
        network, kind = build_encoder(encoder, image_shape)
        if drop is False and kind.family != "whence":
            raise ValueError(
                f"drop_classifier=False needs a module, got the name {encoder!r}; a network built "
                "by name comes without its classifier."
            )
        return network, kind
    if not isinstance(encoder, nn.Module):
        raise TypeError(f"encoder must be an nn.Module or a name, got {type(encoder).__name__}.")
    if drop is True and not has_classifier(encoder):
        raise ValueError(
            "drop_classifier=True needs an encoder with a classifier in one of the attributes "
            f"{', '.join(CLASSIFIERS)}, {type(encoder).__name__} has none; replace it by "
            "nn.Identity() yourself and leave drop_classifier out."
        )
    kept = encoder if drop is False else drop_classifier(encoder)
    return kept, EncoderKind("own", type(encoder).__qualname__)


def build_torchvision(name: str, image_shape: tuple[int, int, int]) -> nn.Module:
    """Build one of torchvision's classification networks."""
    models = import_module("torchvision.models")
    check_name("torchvision", name, models.list_models(module=models))
    channels, height, width = image_shape
    if channels != 3:
        raise ValueError(
            f"torchvision:{name} takes 3 channels, got {channels}; give the images three channels "
            "or use a network of ours or of timm, which take any number."
        )
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # as their pretrained weights expect
        options = {"aux_logits": False, "transform_input": True, "init_weights": True}
    elif name.startswith("vit_"):
        if height != width:
            raise ValueError(f"torchvision:{name} takes square images, got {height} x {width}.")
        options = {"image_size": height}
    elif name == "maxvit_t":
        options = {"input_size": (height, width)}
    with explained(f"torchvision:{name}", image_shape):
        return drop_classifier(models.get_model(name, weights=None, **options))


def build_timm(
    name: str, image_shape: tuple[int, int, int], *, pretrained: bool = False
) -> nn.Module:
    """Build one of timm's networks; ``pretrained`` downloads its weights."""
    timm = import_timm()
    check_name("timm", name, timm.list_models())
    channels, height, width = image_shape
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = (height, width)
    with explained(f"timm:{name}", image_shape):
        encoder: nn.Module = timm.create_model(name, pretrained=pretrained, **options)
    return encoder


def import_timm() -> ModuleType:
    """Import the optional package timm, or say how to get it."""
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Encoders named timm:NAME need timm; install it with: python -m pip install timm"
        ) from error


def check_name(family: str, name: str, names: list[str]) -> None:
    """Refuse a name that the family does not list, naming the closest ones.

    Raises:
        ValueError: with up to five suggestions.
    """
    if name not in names:
        close = get_close_matches(name, names, n=5, cutoff=0.5)
        hint = f"Did you mean: {', '.join(close)}?" if close else "No name comes close."
        raise ValueError(f"Unknown {family} classification network {name!r}. {hint}")


@contextmanager
def explained(name: str, image_shape: tuple[int, int, int]) -> Iterator[None]:
    """Turn what a network raises on images it was not made for into one sentence."""
    try:
        yield
    except BUILD_ERRORS as error:
        raise ValueError(
            f"{name} must accept images of image_shape {tuple(image_shape)}, it raised "
            f"{type(error).__name__}: {first_line(error)}; pass the image_shape that it was made "
            "for, or take another encoder."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without its full stop."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(". ")


def has_classifier(encoder: nn.Module) -> bool:
    """Say whether :func:`drop_classifier` would find a classifier, dropped or not."""
    named = (getattr(encoder, name, None) for name in CLASSIFIERS)
    return is_timm(encoder) or any(isinstance(module, nn.Module) for module in named)


def is_timm(encoder: nn.Module) -> bool:
    """Say whether a module is one of timm's networks."""
    return type(encoder).__module__.startswith("timm.") and hasattr(encoder, "reset_classifier")


def drop_classifier(encoder: nn.Module) -> nn.Module:
    """Put nn.Identity in the place of the classifier, so that the module returns features.

    A network of timm is asked to do it itself. Elsewhere the classifier is what the attribute
    ``fc``, ``classifier``, ``head`` or ``heads`` holds; of a sequence, the last linear layer (in
    SqueezeNet: convolution) goes, with the dropout before it and the activation behind it, and what
    precedes them stays: VGG keeps its two hidden layers (D=4096), ConvNeXt its normalisation. A
    sequence without such a layer is not a classifier and stays. Auxiliary classifiers are switched
    off. Doing it twice changes nothing more.

    Args:
        encoder: changed in place, not copied.

    Returns:
        The same module.

    Raises:
        ValueError: if several attributes could be the classifier.
    """
    if is_timm(encoder):
        # timm's own method, which torch's Module does not know
        encoder.reset_classifier(0)  # type: ignore[operator]
        return encoder
    if getattr(encoder, "aux_logits", False):  # GoogLeNet and Inception: tuples in training
        # torchvision's own flag, likewise
        encoder.aux_logits = False  # type: ignore[assignment]
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(encoder, name):
                setattr(encoder, name, None)
    found = [name for name in CLASSIFIERS if isinstance(getattr(encoder, name, None), nn.Module)]
    if len(found) > 1:
        raise ValueError(
            f"{type(encoder).__name__} could have its classifier in {' or '.join(found)}; replace "
            "the right one by nn.Identity() and pass drop_classifier=False."
        )
    for name in found:
        setattr(encoder, name, without_last_layer(getattr(encoder, name)))
    return encoder


def without_last_layer(classifier: nn.Module) -> nn.Module:
    """Return what stays of a classifier; positions, and so parameter names, do not change."""
    if not isinstance(classifier, nn.Sequential):
        return nn.Identity()
    kinds = [type(module) for module in classifier]
    layers = [i for i, kind in enumerate(kinds) if issubclass(kind, (nn.Linear, nn.Conv2d))]
    if not layers or nn.Identity in kinds[layers[-1] :]:  # none, or dropped before
        return classifier
    last = layers[-1]
    drop = [last]
    if last > 0 and issubclass(kinds[last - 1], nn.Dropout):
        drop.append(last - 1)
    activations = (nn.ReLU, nn.Softmax, nn.LogSoftmax, nn.Sigmoid)
    drop += [i for i in range(last + 1, len(kinds)) if issubclass(kinds[i], activations)]
    for position in drop:
        classifier[position] = nn.Identity()
    return classifier


def count_features(encoder: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Find D by encoding two black images, leaving no trace in the encoder.

    It runs in eval mode, so that no BatchNorm statistic changes, and restores the mode of every
    submodule and the random states.

    Args:
        encoder: maps `(B, C, H, W)` to `(B, D)`.
        image_shape: (C, H, W).

    Returns:
        D.

    Raises:
        ValueError: if the encoder fails on such images or returns anything but features.
    """
    tensors = chain(encoder.parameters(), encoder.buffers())
    like = next((t for t in tensors if t.is_floating_point()), torch.zeros(()))
    images = torch.zeros(2, *image_shape, dtype=like.dtype, device=like.device)
    modes = [(module, module.training) for module in encoder.modules()]
    devices = [like.device] if like.is_cuda else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad(), explained("encoder", image_shape):
            features: object = encoder.eval()(images)
    finally:
        for module, mode in modes:
            module.training = mode
    return check_features(features, image_shape)


def check_features(features: object, image_shape: tuple[int, int, int]) -> int:
    """Check that an encoder's output for two images is `(2, D)` float, and return D."""
    wanted = f"encoder must return features (B, D) for images of image_shape {tuple(image_shape)}"
    if not isinstance(features, Tensor):
        raise ValueError(
            f"{wanted}, got a {type(features).__name__}; wrap it in a module that returns one "
            "tensor."
        )
    if features.ndim != 2 or features.shape[0] != 2 or features.shape[1] == 0:
        raise ValueError(
            f"{wanted}, got shape {tuple(features.shape)} for 2 images; add a pooling layer and "
            "nn.Flatten, for example nn.Sequential(encoder, nn.AdaptiveAvgPool2d(1), nn.Flatten())."
        )
    if not features.is_floating_point():
        raise ValueError(f"{wanted} as floating point numbers, got {features.dtype}.")
    return features.shape[1]


def load_weights(
    encoder: nn.Module,
    kind: EncoderKind,
    weights: str | Path,
    *,
    image_shape: tuple[int, int, int] | None = None,
) -> str:
    """Replace an encoder's parameters by those of a file, or by the pretrained ones.

    Args:
        encoder: from :func:`adopt_encoder`; unchanged if anything fails.
        kind: from there too.
        weights: a .safetensors, .pt or .pth file, read without running anything in it; or
            "default", which downloads the pretrained weights of a torchvision or timm network.
        image_shape: (C, H, W), needed for "default" with timm, which fits the weights to it.

    Returns:
        A sentence for the run's record: the source, the SHA-256 over all parameters now in the
        encoder, and how many tensors of the source were not used.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unsafe or damaged, or lacks a parameter of the encoder.
        ConnectionError: if pretrained weights cannot be downloaded.
    """
    if weights == "default":
        source, found = read_pretrained(kind, image_shape)
        unused = fill(encoder, found, source)
    else:
        source = Path(weights).name  # the folder is nobody's business
        unused = fill(encoder, read_state_dict(Path(weights)), str(weights))
    rest = f"; {unused} of its tensors were not used" if unused else ""
    return f"weights from {source}, sha256 {hash_tensors(encoder.state_dict())}{rest}"


def pretrained_normalisation(kind: EncoderKind) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation per channel that pretrained weights expect, in [0, 1].

    They are ImageNet's, except where timm's record of a network says otherwise.
    """
    if kind.family == "timm":
        record = import_timm().get_pretrained_cfg(kind.name)
        return tuple(record.mean), tuple(record.std)
    return IMAGENET_MEAN, IMAGENET_STD


def read_pretrained(
    kind: EncoderKind, image_shape: tuple[int, int, int] | None
) -> tuple[str, dict[str, Tensor]]:
    """Download the default pretrained weights of a network, or take them from the cache."""
    name = f"{kind.family}:{kind.name}"
    if kind.family not in ("torchvision", "timm"):
        raise ValueError(
            f'weights "default" needs a torchvision or timm network, got {name}; pass a file.'
        )
    try:
        if kind.family == "torchvision":
            chosen = import_module("torchvision.models").get_model_weights(kind.name).DEFAULT
            found = chosen.get_state_dict(progress=True, check_hash=True, weights_only=True)
            return f"{name} {chosen}", rename_densenet(found)
        if image_shape is None:
            raise ValueError(f'weights "default" of {name} needs the image_shape.')
        if not import_timm().is_model_pretrained(kind.name):
            raise ValueError(f"{name} has no pretrained weights; pass a file.")
        pretrained = build_timm(kind.name, image_shape, pretrained=True)
        return name, pretrained.state_dict()
    except OSError as error:
        raise ConnectionError(
            f"The pretrained weights of {name} could not be downloaded ({first_line(error)}); "
            "fetch them on a machine with a network and pass the file: --weights FILE"
        ) from error


def rename_densenet(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Write ``norm.1`` as ``norm1``: torchvision's DenseNet files use names of an old version."""
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
    return {old.sub(r"\1\2.", name): tensor for name, tensor in found.items()}
