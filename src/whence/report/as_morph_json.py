"""Ways from another class to images as JSON, classes by index and by name."""

from collections.abc import Sequence
from typing import Any

import torch

from whence.records.explained import Origin
from whence.records.morphed import Along, Mask, Morph, Way
from whence.report.json_values import lay_out_origin, to_class, to_list
from whence.report.path_numbers import place_gain, share_kept


def morphs_to_json(
    morphs: Sequence[Morph], origin: Origin, class_names: Sequence[str]
) -> dict[str, Any]:
    """Lay ways out for ``json.dumps``: every number of the records, NaN and infinity as null.

    Pixels of images are left out; masks and maps are nested lists `(H, W)`.

    Args:
        morphs: in order.
        origin: what they were computed from.
        class_names: one name per class.

    Returns:
        An object with the keys run, classes, facts, notes and images.
    """
    return {
        **lay_out_origin(origin, class_names),
        "images": [lay_out_morph(morph, class_names) for morph in morphs],
    }


def lay_out_morph(morph: Morph, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one image out."""
    code = morph.code
    return {
        "image": morph.name,
        "truth": to_class(morph.truth, classes),
        "predicted": to_class(morph.predicted, classes),
        "probabilities": to_list(morph.probabilities),
        "code": {
            "how": code.how,
            "reason": code.reason,
            "distance": clean(code.distance),
            "norm": clean(code.norm),
            "probabilities": to_list(code.probabilities),
        },
        "ways": [lay_out_way(way, classes) for way in morph.ways],
        "notes": list(morph.notes),
    }


def lay_out_way(way: Way, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one way out."""
    start = way.start
    return {
        "other": way.kind,
        "self_class": to_class(way.classes[0], classes),
        "other_class": to_class(way.classes[1], classes),
        "found": way.found,
        "valid": way.valid,
        "reason": way.reason,
        "steps": way.steps,
        "start": None
        if start is None
        else {
            "index": start.index,
            "label": to_class(start.label, classes),
            "source": start.source,
        },
        "probabilities": to_list(way.probabilities),
        "pixel_distance": clean(way.pixel_distance),
        "cosine": clean(way.cosine),
        "norm": clean(way.norm),
        "class_norm": clean(way.class_norm),
        "norm_range": [clean(end) for end in way.norm_range],
        "path": lay_out_path(way.along),
        "mask": lay_out_mask(way.mask),
    }


def lay_out_path(along: Along) -> dict[str, Any]:
    """Lay out what the classifier says along a path."""
    return {
        "probabilities": to_list(along.probabilities),
        "entropies": to_list(along.entropies),
        "gradients": to_list(along.gradients),
        "mean": clean(along.mean),
        "low": clean(along.low),
        "high": clean(along.high),
    }


def lay_out_mask(mask: Mask) -> dict[str, Any]:
    """Lay out a mask and what it gains."""
    return {
        "reason": mask.reason,
        "gain": clean(float(mask.gains.double().sum())),
        "full_gain": clean(float(mask.full_gains.double().sum())),
        "kept": share_kept(mask),
        "most_of_gain": place_gain(mask.gains),
        "gains": to_list(mask.gains),
        "full_gains": to_list(mask.full_gains),
        "mask": to_list(mask.mask),
        "increase": to_list(mask.increase),
        "decrease": to_list(mask.decrease),
    }


def clean(value: float) -> Any:
    """Turn NaN and infinity into None."""
    return to_list(torch.tensor(value, dtype=torch.float64))
