"""A gallery of attribution methods as JSON."""

from collections.abc import Sequence
from typing import Any

from whence.records.explained import Origin
from whence.records.gallery import AttributedImage, Gallery
from whence.report.as_json import lay_out_evidence, relevance_to_json
from whence.report.json_values import lay_out_origin, to_class, to_list


def to_gallery_json(
    gallery: Gallery, origin: Origin, class_names: Sequence[str], *, with_pixels: bool = False
) -> dict[str, Any]:
    """Lay a gallery out for ``json.dumps``.

    Args:
        gallery: images and what each method says of them.
        origin: what it was computed from.
        class_names: one name per class.
        with_pixels: every pixel's relevance as nested lists `(C, H, W)`; otherwise only sums.

    Returns:
        An object with the keys run, classes, facts, notes, images and left_out.
    """
    return {
        **lay_out_origin(origin, class_names),
        "images": [lay_out_asked(one, class_names, with_pixels) for one in gallery.images],
        "left_out": dict(gallery.reasons),
    }


def lay_out_asked(
    asked: AttributedImage, classes: Sequence[str], with_pixels: bool
) -> dict[str, Any]:
    """Lay out one image, its answer and its attributions, in the order of the methods."""
    prediction = asked.prediction
    return {
        "image": asked.name,
        "truth": to_class(asked.truth, classes),
        "predicted": to_class(prediction.predicted, classes),
        "probabilities": to_list(prediction.probabilities),
        "evidence": [lay_out_evidence(item, classes) for item in prediction.evidence],
        "attributions": [relevance_to_json(one, with_pixels) for one in asked.relevance],
        "notes": list(asked.notes),
    }
