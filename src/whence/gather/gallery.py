"""Several attribution methods on the same images, gathered for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from whence.attribution.attribute import attribute
from whence.attribution.score_kinds import ScoreKind
from whence.attribution.target import TargetLike
from whence.bounds import BATCH_SIZE
from whence.evidence.predict import predict
from whence.gather.explained import find_places, take_stored
from whence.models.classifier import Classifier
from whence.progress_bar import make_bar
from whence.records.gallery import AttributedImage, Gallery
from whence.records.picture import to_uint8
from whence.records.relevance import Relevance


def gather_gallery(
    model: Classifier,
    images: Tensor,
    names: Sequence[str],
    truths: Sequence[int | None],
    methods: Mapping[str, Mapping[str, Any]],
    *,
    target: TargetLike = None,
    score: ScoreKind | None = None,
    leave_out: bool = False,
    shown_evidence: int = 3,
    batch_size: int = BATCH_SIZE,
) -> Gallery:
    """Explain images by several methods.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        names: what each image is called.
        truths: true classes, None where they are not known.
        methods: options by name, by method.
        target: what the score is, as for ``whence.attribute``.
        score: what it is of, likewise.
        leave_out: a method that cannot be used is left out, with its reason, and not raised.
        shown_evidence: evidence images of each image that a page shows.
        batch_size: images computed at once; changes memory use, not the result.

    Raises:
        ValueError: if a method, an option or the target does not fit; with ``leave_out`` only if no
            method is left.
        RuntimeError: if the model has no bank that fits it.
    """
    found, reasons = attribute_by_all(
        model, images, methods, target, score=score, leave_out=leave_out, batch_size=batch_size
    )
    predictions = predict(model, images, batch_size=batch_size)
    places = {} if model.bank is None else find_places(model.bank)
    gathered = []
    for row, prediction in enumerate(predictions):
        shown = [] if model.bank is None else prediction.evidence[:shown_evidence]
        gathered.append(
            AttributedImage(
                name=names[row],
                image=to_uint8(images[row]),
                truth=truths[row],
                prediction=prediction,
                stored={
                    item.index: take_stored(model.checked_bank(), places[item.index])
                    for item in shown
                },
                relevance=tuple(one.take(row) for one in found),
            )
        )
    return Gallery(tuple(gathered), reasons, shown_evidence)


def attribute_by_all(
    model: Classifier,
    images: Tensor,
    methods: Mapping[str, Mapping[str, Any]],
    target: TargetLike,
    *,
    score: ScoreKind | None,
    leave_out: bool,
    batch_size: int,
) -> tuple[list[Relevance], dict[str, str]]:
    """Run one method after another.

    Returns:
        Relevance of each that could be used, and reasons by name of those that could not.

    Raises:
        ValueError: that of the first method, if none could be used or none may be left out.
    """
    found: list[Relevance] = []
    errors: dict[str, ValueError] = {}
    with make_bar(methods.items(), unit="method", leave=False) as bar:
        for name, options in bar:
            bar.set_postfix_str(name)
            try:
                one = attribute(
                    model, images, name, target, score=score, batch_size=batch_size, **options
                )
            except ValueError as error:
                if not leave_out:
                    raise
                errors[name] = error
                continue
            found.append(one)
    if not found:
        raise next(iter(errors.values()))
    return found, {name: str(error) for name, error in errors.items()}
