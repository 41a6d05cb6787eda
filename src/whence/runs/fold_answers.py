"""The answers to images that a run did not learn from, as rows of a table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from whence.evidence.predict import predict
from whence.models.classifier import Classifier
from whence.records.answers import Prediction
from whence.records.images import ImageSet
from whence.storage.whole_files import write_whole

OUT_OF_FOLD = "out_of_fold.csv"
ANSWER_COLUMNS = ("image", "label", "fold", "answer", "right", "probability")
DOUBT_COLUMNS = ("error_probability", "evidence", "evidence_label", "evidence_weight")


def answer_fold(
    model: Classifier,
    images: ImageSet,
    places: Sequence[int],
    fold: int,
    *,
    features: Tensor | None,
    batch_size: int,
) -> list[list[str]]:
    """Answer the images of a fold, a row for each.

    Args:
        model: of the run that did not learn from them.
        images: of the fold.
        places: of each among all images of the folds.
        fold: its number, from 1 on.
        features: `(n, E)` as the head compares them; None encodes the images.
        batch_size: images computed at once.
    """
    answers = predict(model, images.images, batch_size=batch_size, features=features)
    names = model.class_names
    sources = images.sources or [f"image {place}" for place in places]
    return [
        [
            *(source, names[label], str(fold), names[answer.predicted]),
            "yes" if answer.predicted == label else "no",
            f"{float(answer.probabilities[answer.predicted]):.6f}",
            *(f"{share:.6f}" for share in answer.probabilities.tolist()),
            *write_doubt(answer, names),
        ]
        for source, label, answer in zip(sources, images.labels.tolist(), answers, strict=True)
    ]


def write_doubt(answer: Prediction, names: Sequence[str]) -> list[str]:
    """Write the probability of an error, and the stored image of highest weight."""
    error = "" if answer.error_probability is None else f"{answer.error_probability:.6f}"
    if not answer.evidence:
        return [error, "", "", ""]
    best = answer.evidence[0]
    label = "" if best.label is None else names[best.label]
    return [error, best.source or f"image {best.index}", label, f"{best.weight:.6f}"]


def write_answers(path: Path, rows: Sequence[Sequence[str]], class_names: Sequence[str]) -> None:
    """Write the answers of all folds as one table; whole, or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*ANSWER_COLUMNS, *(f"probability of {name}" for name in class_names), *DOUBT_COLUMNS]
    )
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
