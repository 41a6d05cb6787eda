"""Pictures with their captions: one card per image that a page shows."""

from collections.abc import Sequence

from torch import Tensor

from whence.messages import format_number
from whence.records.answers import Evidence
from whence.records.explained import Stored
from whence.records.picture import shown_size, to_data_uri
from whence.report.blocks import Card, Strip
from whence.report.embedded import Picture
from whence.report.numbers import percent

SHOWN = 24
"""Stored images that one strip shows; the rest is counted."""

ROLES = {
    "input": "this image",
    "example": "example",
    "counterfactual": "counterfactual",
    "near": "near miss, weight 0",
    "stored": "stored image",
}


def draw_picture(image: Tensor, alt: str, *, smallest: int = 96, largest: int = 128) -> Picture:
    """Embed `(C, H, W)` uint8 pixels with the size at which they are shown."""
    height, width = image.shape[1:]
    shown = shown_size(height, width, smallest=smallest, largest=largest)
    return Picture(to_data_uri(image), alt, shown, enlarged=shown > width)


def name_label(label: int | None, classes: Sequence[str]) -> str:
    """Name a true class that may be unknown."""
    return "no label" if label is None else classes[label]


def name_place(index: int, source: str | None) -> str:
    """Say which training image it is, and its file where it has one."""
    return f"training image {index}" + (f", {source}" if source else "")


def say_conflict(label: int | None, predicted: int, classes: Sequence[str]) -> str:
    """Say that the model itself sees another class in a stored image than its label.

    >>> say_conflict(0, 1, ("cat", "dog")), say_conflict(1, 1, ("cat", "dog"))
    ('This image is of class cat, but the model itself would call it dog.', '')
    """
    if label is None:
        return f"The model itself calls it {classes[predicted]}."
    if label == predicted:
        return ""
    return (
        f"This image is of class {classes[label]}, but the model itself would call it "
        f"{classes[predicted]}."
    )


def make_evidence_card(
    item: Evidence,
    image: Tensor | None,
    classes: Sequence[str],
    *,
    smallest: int = 96,
    largest: int = 128,
) -> Card:
    """Describe one evidence image: class, weight, similarity, place, and `(C, H, W)` pixels."""
    label = name_label(item.label, classes)
    lines = []
    if item.weight > 0:
        lines.append(f"weight {percent(item.weight)}")
    lines.append(f"similarity {format_number(item.similarity, '.3f')}")
    role = item.role if item.weight > 0 else "near"
    place = name_place(item.index, item.source)
    alt = f"{place}, labelled {label}, weight {percent(item.weight)}, {ROLES[role]}"
    picture = None
    if image is not None:
        picture = draw_picture(image, alt, smallest=smallest, largest=largest)
    return Card(
        role=role,
        badge=ROLES[role],
        picture=picture,
        label=label,
        conflict=say_conflict(item.label, item.predicted, classes),
        lines=tuple(lines),
        place=place,
    )


def make_stored_card(index: int, stored: Stored, classes: Sequence[str]) -> Card:
    """Describe a stored image that need not be evidence: class and place."""
    label, place = name_label(stored.label, classes), name_place(index, stored.source)
    alt = f"{place}, labelled {label}"
    return Card(
        role="stored",
        badge="",
        picture=None if stored.image is None else draw_picture(stored.image, alt),
        label=label,
        conflict=say_conflict(stored.label, stored.predicted, classes),
        place=place,
    )


def make_strip(cards: Sequence[Card], rest: str = "") -> Strip:
    """Choose columns that hold the widest picture."""
    widest = max((card.picture.width for card in cards if card.picture), default=96)
    return Strip(tuple(cards), max(138, widest + 28), rest)
