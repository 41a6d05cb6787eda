"""Units of a classifier: a class, or a layer, a channel or a neuron of its encoder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from whence.attribution.layers import listening
from whence.memory.copies import mask_copies
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.twin import make_twin

UnitKind = Literal["logit", "probability", "layer", "channel", "neuron"]

FORMS = (
    "logit:CLASS, probability:CLASS, layer:LAYER, channel:LAYER:NUMBER or "
    "neuron:LAYER:NUMBER,ROW,COLUMN"
)


@dataclass(frozen=True)
class Unit:
    """Something in a classifier that an image activates more or less.

    Attributes:
        kind: "logit" or "probability" of a class; "channel", "neuron" or "layer" of the encoder.
        layer: name of the encoder's layer; "" for a class.
        place: the class; the channel; channel, row and column, or the number in a flat layer.
        words: how a page calls it.
    """

    kind: UnitKind
    layer: str
    place: tuple[int, ...]
    words: str


def list_layers(model: Classifier) -> dict[str, tuple[int, ...]]:
    """List the layers of an encoder that run once for an image and give one tensor.

    Args:
        model: in eval mode.

    Returns:
        Names and the shapes of what they give: `(C, h, w)`, or `(N,)`.
    """
    encoder = make_twin(model.encoder)
    with torch.no_grad(), listening(dict(encoder.named_modules())) as heard:
        encoder(model.mean.new_zeros((1, *model.image_shape)))
    calls = Counter(name for name, _ in heard)
    return {
        name: tuple(given.shape[1:])
        for name, given in heard
        if name and calls[name] == 1 and given.dim() in (2, 4)
    }


def read_unit(text: str, model: Classifier, layers: Mapping[str, tuple[int, ...]]) -> Unit:
    """Read a unit from text.

    Args:
        text: one of ``FORMS``.
        model: whose unit it is.
        layers: of its encoder, as ``list_layers`` gives them.

    Raises:
        ValueError: if there is no such unit.
    """
    kind, colon, rest = text.partition(":")
    if kind not in get_args(UnitKind) or not colon:
        raise ValueError(f"unit must be {FORMS}, got {quote(text)}.")
    if kind in ("logit", "probability"):
        return read_class_unit(cast("UnitKind", kind), rest, model.class_names)
    layer, numbers = (rest, "") if kind == "layer" else split_last(rest)
    if layer not in layers:
        raise ValueError(
            f"Unknown layer {quote(layer)} of {quote(text)}; whence visualise RUN --layers lists "
            "them."
        )
    shape = layers[layer]
    wanted = {"layer": (), "channel": shape[:1], "neuron": shape}[kind]
    place = read_place(numbers, wanted, text)
    named = f" {', '.join(map(str, place))}" if place else ""
    return Unit(
        cast("UnitKind", kind),
        layer,
        place,
        f"{kind}{named} of layer {layer}" if place else f"layer {layer}",
    )


def split_last(text: str) -> tuple[str, str]:
    """Split a text at its last colon."""
    layer, _, numbers = text.rpartition(":")
    return layer, numbers


def read_class_unit(kind: UnitKind, name: str, class_names: tuple[str, ...]) -> Unit:
    """Find a class by name, or by index.

    Raises:
        ValueError: if there is none.
    """
    index = class_names.index(name) if name in class_names else None
    if index is None and name.isdecimal() and int(name) < len(class_names):
        index = int(name)
    if index is None:
        shown = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
        raise ValueError(f"Unknown class {quote(name)}. Choose from: {shown}.")
    return Unit(kind, "", (index,), f"{kind} of {class_names[index]}")


def read_place(text: str, shape: tuple[int, ...], unit: str) -> tuple[int, ...]:
    """Read numbers between commas, each below that of the shape.

    Raises:
        ValueError: if there are more or fewer, or one is too large.
    """
    parts = text.split(",") if text else []
    if len(parts) != len(shape) or not all(part.isdecimal() for part in parts):
        what = "1 number" if len(shape) == 1 else f"{len(shape)} numbers with commas between"
        raise ValueError(f"unit must end in {what}, as its layer has, got {quote(unit)}.")
    place = tuple(int(part) for part in parts)
    for number, size in zip(place, shape, strict=True):
        if number >= size:
            raise ValueError(f"unit must be in 0 to {size - 1} there, got {quote(unit)}.")
    return place


def activate_units(
    model: Classifier, units: Sequence[Unit], inputs: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Say how much each normalised image activates its unit; `(B,)`, with a gradient.

    A channel is the mean over its places, a layer half the mean square of its values, whose
    gradient strengthens what it finds (Olah, Mordvintsev and Schubert 2017).

    Args:
        model: in eval mode.
        units: B of them, all of one kind and one layer.
        inputs: `(B, C, H, W)`.
        mask: `(B, M)` bool, False where a stored image is a copy of the image; None allows all.
    """
    kind, layer = units[0].kind, units[0].layer
    if kind in ("logit", "probability"):
        logits = classify_inputs(model, inputs, mask)
        values = logits if kind == "logit" else logits.softmax(1)
    else:
        values = read_layer(model.encoder, layer, inputs)  # (B, ...)
    if kind == "layer":
        return values.square().flatten(1).mean(1) / 2
    rows = torch.arange(len(units), device=values.device)
    places = torch.tensor([unit.place for unit in units], device=values.device)  # (B, axes)
    chosen = values[(rows, *places.T)]
    return chosen.flatten(1).mean(1) if kind == "channel" else chosen


def group_units(units: Sequence[Unit]) -> list[list[int]]:
    """Group the numbers of units of one kind and one layer, which go together."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, unit in enumerate(units):
        groups.setdefault((unit.kind, unit.layer), []).append(number)
    return [*groups.values()]


def find_mask(model: Classifier, unit: Unit, images: Tensor) -> Tensor | None:
    """Find which stored images are copies of images `(B, C, H, W)`, for a class of a model."""
    if unit.layer or not model.has_memory:
        return None
    return mask_copies(model.checked_bank(), images)


def classify_inputs(model: Classifier, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
    """Classify normalised images `(B, C, H, W)`, which need not be pixels, with the bank."""
    return classify_encoded(model, model.encoder(inputs), mask)


def classify_encoded(model: Classifier, features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Classify features `(B, D)` with the bank; `(B, K)`.

    They may come from a twin of the encoder, which the bank would refuse in a copy of the model.
    """
    queries = model.head.embed(features)
    if not model.has_memory:
        logits: Tensor = model.head(queries)
        return logits
    bank, head = model.checked_bank(), model.memory_head
    scale = bank.scale(head.similarity)
    return head.logits(queries, bank.features, mask, labels=bank.labels, scale=scale)


def read_layer(encoder: nn.Module, layer: str, inputs: Tensor) -> Tensor:
    """Run an encoder on normalised images and return what one of its layers gives, `(B, ...)`."""
    twin = make_twin(encoder)
    with listening({layer: twin.get_submodule(layer)}) as heard:
        twin(inputs)
    return heard[0][1]
