"""Answer for image files, one after the other."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.plain_text import escape, print_note
from whence.cli.work.images import report_unread
from whence.data.image_file import count_sizes, read_readable
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.records.answers import Prediction
from whence.report.reading import say_reading
from whence.report.terminal import describe_prediction


def predict_all(options: Namespace, files: Sequence[Path], device: str) -> int:
    """Answer for image files and print what came out, also of those that cannot be read.

    Args:
        options: of the command, checked.
        files: the images.
        device: where to compute.

    Returns:
        1 if a file could not be read, else 0.
    """
    model = load_to_answer(Path(options.run), device)
    channels, height, width = model.image_shape
    unread = 0
    for start in range(0, len(files), options.batch_size):
        batch = files[start : start + options.batch_size]
        found, problems = read_readable(batch, size=(height, width), channels=channels)
        for note in (*found.notes, *count_sizes(found.files, height, width)):
            print_note(note)
        images = found.images
        answers = iter(predict(model, images, batch_size=options.batch_size) if len(images) else ())
        for place, path in enumerate(batch):
            if place in problems:
                print_problem(path, problems[place], as_json=options.json)
            elif options.json:
                print(json.dumps(to_json(path, next(answers), model.class_names)))
            else:
                shown = escape_sources(next(answers))
                print(describe_prediction(escape(str(path)), shown, model.class_names))
        unread += len(problems)
    return report_unread(unread, len(files))


def print_problem(path: Path, problem: Exception, *, as_json: bool) -> None:
    """Print why there is no answer for a file."""
    if as_json:
        print(json.dumps({"image": str(path), "error": str(problem)}))
    else:
        print(f"{escape(str(path))}: no answer; {escape(str(problem))}")


def escape_sources(answer: Prediction) -> Prediction:
    """Make the file names of the evidence fit for a terminal."""
    evidence = tuple(
        item if item.source is None else replace(item, source=escape(item.source))
        for item in answer.evidence
    )
    return replace(answer, evidence=evidence)


def to_json(path: Path, answer: Prediction, names: tuple[str, ...]) -> dict[str, Any]:
    """Lay one answer out as JSON."""
    return {
        "image": str(path),
        "predicted": names[answer.predicted],
        "probabilities": dict(zip(names, answer.probabilities.tolist(), strict=True)),
        "evidence": [
            {
                "index": item.index,
                "label": None if item.label is None else names[item.label],
                "predicted": names[item.predicted],
                "weight": item.weight,
                "similarity": item.similarity,
                "role": item.role,
                "source": item.source,
            }
            for item in answer.evidence
        ],
        "threshold": answer.threshold,
        "reading": say_reading(answer.threshold),
    }
