"""Pictures with their captions, ready for a template: one card per image that a page shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from whence.records.answers import Evidence
from whence.records.explained import Answer, Stored
from whence.report.numbers import add_weights, count, leave_out, percent
from whence.report.picture import shown_size, to_data_uri

SHOWN = 24
"""Stored images that one strip shows; the rest is counted."""

ROLES = {
    "input": "this image",
    "example": "example",
    "counterfactual": "counterfactual",
    "near": "near miss, weight 0",
    "stored": "stored image",
}


@dataclass(frozen=True)
class Picture:
    """An image for an ``img`` element; ``width`` in CSS pixels."""

    uri: str
    alt: str
    width: int
    enlarged: bool


@dataclass(frozen=True)
class Card:
    """A picture and what is said about it.

    Attributes:
        role: a key of ``ROLES``, chooses the frame.
        badge: the role in words.
        picture: None when the memory was saved without pixels.
        label: the true class, or None.
        own: the model's own class, where it is not the label.
        lines: short texts below them.
        share: length of a bar in [0, 1]; None for no bar.
        place: where the image is from: its index and file.
        heat: its heatmap, None without.
        heat_sum: what the heatmap adds up to, as text.
    """

    role: str
    badge: str
    picture: Picture | None
    label: str | None
    own: str = ""
    lines: tuple[str, ...] = ()
    share: float | None = None
    place: str = ""
    heat: Picture | None = None
    heat_sum: str = ""


@dataclass(frozen=True)
class Strip:
    """Cards side by side, and a sentence about those that are not shown."""

    cards: tuple[Card, ...]
    rest: str
    width: int


def draw(image: Tensor, alt: str, *, smallest: int = 96, largest: int = 128) -> Picture:
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


def evidence_card(
    item: Evidence,
    answer: Answer,
    classes: Sequence[str],
    *,
    smallest: int = 96,
    largest: int = 128,
) -> Card:
    """Describe one evidence image: class, weight, similarity, place."""
    label, own = name_label(item.label, classes), classes[item.predicted]
    lines = []
    if item.weight > 0:
        lines.append(f"weight {percent(item.weight)}")
    lines.append(f"similarity {item.similarity:.3f}")
    role = item.role if item.weight > 0 else "near"
    place = name_place(item.index, item.source)
    alt = f"{place}, labelled {label}, weight {percent(item.weight)}, {ROLES[role]}"
    image = answer.stored[item.index].image if item.index in answer.stored else None
    return Card(
        role=role,
        badge=ROLES[role],
        picture=None if image is None else draw(image, alt, smallest=smallest, largest=largest),
        label=label,
        own="" if item.label == item.predicted else own,
        lines=tuple(lines),
        place=place,
    )


def stored_card(index: int, stored: Stored, classes: Sequence[str]) -> Card:
    """Describe a stored image that need not be evidence: class and place."""
    label, place = name_label(stored.label, classes), name_place(index, stored.source)
    own = classes[stored.predicted]
    alt = f"{place}, labelled {label}"
    return Card(
        role="stored",
        badge="",
        picture=None if stored.image is None else draw(stored.image, alt),
        label=label,
        own="" if stored.label == stored.predicted else own,
        place=place,
    )


def evidence_strip(answer: Answer, classes: Sequence[str]) -> Strip:
    """Show the evidence in order of weight, each with what leaving it out would do."""
    explanation = answer.explanation
    items = explanation.evidence[:SHOWN]
    left = leave_out(explanation.probabilities, explanation.without)
    cards = []
    for place, item in enumerate(items):
        card = evidence_card(item, answer, classes)
        effect = say_without(explanation.predicted, left[place], classes)
        relative = item.weight / items[0].weight  # bars compare; the number is the share of all
        cards.append(replace(card, lines=(*card.lines, effect), share=relative))
    more = explanation.evidence[SHOWN:]
    rest = ""
    if more:
        share = percent(add_weights(more))
        rest = f"Not shown: {count(len(more), 'stored image')} with {share} of the weight together."
    return make_strip(cards, rest)


def make_strip(cards: Sequence[Card], rest: str) -> Strip:
    """Choose columns that hold the widest picture."""
    widest = max((card.picture.width for card in cards if card.picture), default=96)
    return Strip(tuple(cards), rest, max(138, widest + 28))


def say_without(predicted: int, after: Tensor, classes: Sequence[str]) -> str:
    """Say what the answer would be without one stored image.

    Args:
        predicted: class of the answer.
        after: `(K,)` probabilities without the image; NaN when it is the whole memory.
        classes: names.
    """
    if bool(torch.isnan(after).any()):
        return "without it nothing would be left to read"
    changed = int(after.argmax())
    share = percent(float(after[changed]))
    if changed == predicted:
        return f"without it {share}"
    return f"without it the answer is {classes[changed]}, {share}"
