"""What a finished run says of images whose classes are not known: answers and doubt alone."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whence.data.fingerprint import content_hashes
from whence.data.label_table import NO_COLUMNS
from whence.data.sample_table import load_unlabelled
from whence.evidence.known import is_known
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.runs.finished import read_run
from whence.runs.image_record import find_seen, note_record, read_image_record
from whence.runs.rows_of_answers import lay_out_rows

DOUBTFUL = 10
"""Images of most doubt that are named."""

UNLABELLED_NOTE = (
    "These images have no labels: nothing says how many answers are right. What the run expects is "
    "what held for its validation images, and images of another kind can be worse."
)


def answer_unlabelled(
    folder: Path,
    data: str,
    *,
    device: str,
    batch_size: int,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> dict[str, Any]:
    """Answer images without labels with a finished run, and say how doubtful the answers are.

    Args:
        folder: of the run.
        data: a folder of images, or a table of files.
        device: where to compute.
        batch_size: images computed at once.
        columns: of a table, by what they say.

    Returns:
        One JSON object: answers of each class, the mean probability of an answer, wrong answers
        that are to be expected if the run is calibrated, the images of most doubt, and a row for
        each image.

    Raises:
        FileNotFoundError: if there is no finished run, or no such data.
        ValueError: if the run is damaged, or there is no image.
    """
    about = read_run(folder)
    model = load_to_answer(folder, device)
    found = load_unlabelled(data, tuple(about["image_shape"]), columns=columns)
    answers = predict(model, found.images, batch_size=batch_size)
    names = model.class_names
    record = read_image_record(folder, about)
    known = is_known(content_hashes(found.images), find_seen(model, record))
    shares = [float(one.probabilities[one.predicted]) for one in answers]
    errors = [one.error_probability for one in answers]
    doubts = [
        1 - share if error is None else error for share, error in zip(shares, errors, strict=True)
    ]
    order = sorted(range(len(doubts)), key=lambda place: (-doubts[place], place))
    calibrated = [error for error in errors if error is not None]
    return {
        "run": str(folder),
        "data": found.name,
        "notes": [UNLABELLED_NOTE, *found.notes, *note_record(record)],
        "images": len(answers),
        "known": sum(known),
        "answers": {
            name: sum(one.predicted == place for one in answers) for place, name in enumerate(names)
        },
        "probability": lay_out_shares(shares),
        "error_probability": lay_out_shares(calibrated) if calibrated else None,
        "expected_errors": sum(calibrated) if calibrated else None,
        "doubtful": [
            {
                "image": found.sources[place],
                "answer": names[answers[place].predicted],
                "probability": shares[place],
                "error_probability": errors[place],
            }
            for place in order[:DOUBTFUL]
        ],
        "rows": lay_out_rows(answers, found.sources, names, labels=None),
    }


def lay_out_shares(values: list[float]) -> dict[str, Any]:
    """Lay out mean and quartiles of shares."""
    return {"mean": statistics.fmean(values), "quartiles": quartiles(values)}


def quartiles(values: list[float]) -> list[float]:
    """Return the numbers below which a quarter, half and three quarters of the values lie."""
    return values * 3 if len(values) == 1 else statistics.quantiles(values, method="inclusive")
