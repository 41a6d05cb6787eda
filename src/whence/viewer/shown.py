"""Answers and stored images as the page gets them: plain values, with the address of a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from whence.models.classifier import Classifier
from whence.records.answers import Evidence, Prediction, StoredImage
from whence.report.cards import say_conflict
from whence.report.decision import say_decision
from whence.report.doubt import find_doubt
from whence.report.numbers import percent
from whence.report.reading import say_reading
from whence.viewer.changes import EditedMemory

MOST_CARDS = 24
"""Stored images of an answer that are shown; the rest is counted."""

NAMED_CLASSES = 5

Address = Callable[[int], str | None]
"""Gives the address of the picture of a stored image by its dataset index, None without pixels."""


@dataclass(frozen=True)
class StoredPictures:
    """The pictures of stored images, and which of these images a person added.

    Attributes:
        address: of the picture of each.
        added: the file that a person chose, by the dataset index that it got.
    """

    address: Address
    added: Mapping[int, str] = field(default_factory=dict)


def show_prediction(
    model: Classifier,
    found: Prediction,
    nearest: Sequence[Evidence],
    standing: EditedMemory,
    pictures: StoredPictures,
) -> dict[str, Any]:
    """Lay one answer out: class, doubt, evidence, the nearest of each class."""
    names = model.class_names
    doubt = find_doubt(found, names, added=pictures.added)
    order = torch.argsort(found.probabilities, descending=True, stable=True).tolist()
    likely = order[:NAMED_CLASSES]
    if found.predicted not in likely:  # by a threshold
        likely = [*likely[:-1], found.predicted]
    classes = [
        {"name": names[place], "share": float(found.probabilities[place])} for place in likely
    ]
    shown = found.evidence[:MOST_CARDS]
    rest = found.evidence[MOST_CARDS:]
    weight = sum(one.weight for one in rest)
    told = "" if not rest else f"{len(rest):,} more with {percent(weight)} of the weight together."
    return {
        "answer": names[found.predicted],
        "share": float(found.probabilities[found.predicted]),
        "classes": classes,
        "doubt": {"level": doubt.level, "title": doubt.title, "sentences": list(doubt.sentences)},
        "calibrated": found.error_probability is not None,
        "error": found.error_probability,
        "decided": say_decision(found, names) or "",
        "reading": say_reading(found, names) or "",
        "weighed": len(found.evidence),
        "evidence": [show_weighed(one, names, standing, pictures) for one in shown],
        "rest": told,
        "nearest": [show_weighed(one, names, standing, pictures) for one in nearest],
    }


def show_weighed(
    one: Evidence, names: Sequence[str], standing: EditedMemory, pictures: StoredPictures
) -> dict[str, Any]:
    """Lay one stored image out as evidence of an answer."""
    return {
        **show_stored_image(one, names, standing, pictures),
        "weight": one.weight,
        "similarity": one.similarity,
        "role": one.role,
    }


def show_stored_image(
    one: StoredImage | Evidence,
    names: Sequence[str],
    standing: EditedMemory,
    pictures: StoredPictures,
) -> dict[str, Any]:
    """Lay one stored image out, as it stands in the memory now."""
    index, label = one.index, one.label
    now, added = standing.labels.get(index), pictures.added.get(index)
    return {
        "index": index,
        "name": added or one.source or f"training image {index}",
        "added": added is not None,
        "label": now or ("no label" if label is None else names[label]),
        "relabelled": now is not None,
        "removed": index in standing.removed,
        "pinned": index in standing.pinned,
        "note": say_conflict(label, one.predicted, names),
        "picture": pictures.address(index),
    }
