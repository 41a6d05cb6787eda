"""Answers as the rows of a table, one an image, and the table as a file."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whence.records.answers import Prediction
from whence.storage.whole_files import write_whole


def lay_out_rows(
    answers: Sequence[Prediction],
    sources: Sequence[str],
    class_names: Sequence[str],
    *,
    labels: Sequence[int] | None,
) -> list[dict[str, Any]]:
    """Lay answers out, one row an image.

    Args:
        answers: N.
        sources: N files, or names.
        class_names: K.
        labels: N true classes; None leaves label and right out.

    Returns:
        For each image: file, label, answer and whether it is right, probability of the answer and
        of every class, probability of an error, and the stored image of highest weight.
    """
    rows = []
    for place, (answer, source) in enumerate(zip(answers, sources, strict=True)):
        row: dict[str, Any] = {"image": source}
        if labels is not None:
            row["label"] = class_names[labels[place]]
        row["answer"] = class_names[answer.predicted]
        if labels is not None:
            row["right"] = labels[place] == answer.predicted
        row["probability"] = float(answer.probabilities[answer.predicted])
        shares = zip(class_names, answer.probabilities.tolist(), strict=True)
        row |= {f"probability of {name}": share for name, share in shares}
        row["error_probability"] = answer.error_probability
        rows.append(row | name_evidence(answer, class_names))
    return rows


def name_evidence(answer: Prediction, class_names: Sequence[str]) -> dict[str, Any]:
    """Name the stored image of highest weight, its label and its weight; None without a memory."""
    if not answer.evidence:
        return dict.fromkeys(("evidence", "evidence_label", "evidence_weight"))
    best = answer.evidence[0]
    return {
        "evidence": best.source or f"image {best.index}",
        "evidence_label": None if best.label is None else class_names[best.label],
        "evidence_weight": best.weight,
    }


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same columns as one CSV file; whole, or not at all.

    Fractions have six decimals, what is True or False is yes or no, None is empty.
    """
    write_whole(path, rows_to_csv(rows).encode("utf-8", "surrogateescape"))


def rows_to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows with the same columns, at least one, as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([[write_entry(entry) for entry in row.values()] for row in rows])
    return text.getvalue()


def write_entry(entry: object) -> str:
    """Write one entry of a CSV file.

    >>> [write_entry(entry) for entry in (None, True, 0.25, "a")]
    ['', 'yes', '0.250000', 'a']
    """
    if entry is None:
        return ""
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    return f"{entry:.6f}" if isinstance(entry, float) else str(entry)
