"""Encoders by name, of ours and of torchvision and timm, and any module of a user."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from whence.encoders import ENCODERS, check_encoder
from whence.encoders.drop_classifier import CLASSIFIERS, drop_classifier, has_classifier
from whence.encoders.libraries import LIBRARIES
from whence.messages import quote

Family = Literal["whence", "torchvision", "timm", "module"]
FAMILIES: tuple[str, ...] = get_args(Family)


@dataclass(frozen=True)
class EncoderKind:
    """Where an encoder comes from, which is what a saved model needs to build it again.

    Attributes:
        family: "whence", "torchvision", "timm", or "module" for one that was passed in.
        name: its name in that family; for "module" the name of its class.
        layers: whose means are the features (``AtLayers``); none for its output.
    """

    family: Family
    name: str
    layers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name it for people, with the layers that its features come from."""
        return f"{self.name} at {', '.join(self.layers)}" if self.layers else self.name

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(
                f"Unknown encoder family {quote(self.family)}. Choose from: {', '.join(FAMILIES)}."
            )


def build_encoder(name: str, image_shape: tuple[int, int, int]) -> tuple[nn.Module, EncoderKind]:
    """Build a network by name, with random parameters and without its classifier.

    Nothing is downloaded; pretrained weights are the business of ``load_weights``.

    Args:
        name: one of ``ENCODERS``, "torchvision:NAME" or "timm:NAME".
        image_shape: (C, H, W).

    Raises:
        ValueError: if the name is unknown, or the network cannot be built for the shape.
        ModuleNotFoundError: if timm is asked for and not installed.
    """
    check_encoder(name)
    kind = kind_of(name)
    if kind.family in LIBRARIES:
        return LIBRARIES[kind.family].build(kind.name, image_shape), kind
    channels, height, width = image_shape
    encoder: nn.Module = ENCODERS[name](channels, (height, width))
    return encoder, kind


def kind_of(name: str) -> EncoderKind:
    """Divide an encoder's name into library and name; one without a library is of ours."""
    family, colon, plain = name.partition(":")
    if not colon:
        return EncoderKind("whence", name)
    # checked by EncoderKind
    return EncoderKind(family, plain)  # type: ignore[arg-type]


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
    if drop not in (True, False, "auto"):
        raise ValueError(f"drop_classifier must be True, False or 'auto', got {quote(drop)}.")
    if isinstance(encoder, str):
        network, kind = build_encoder(encoder, image_shape)
        if drop is False and kind.family != "whence":
            raise ValueError(
                f"drop_classifier=False needs a module, got the name {quote(encoder)}; a network "
                "built by name comes without its classifier."
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
    return kept, EncoderKind("module", type(encoder).__qualname__)
