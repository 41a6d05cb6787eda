"""Answer for image files, one after the other."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.plain_text import escape, print_note
from whence.data.image_file import read_images
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.records.answers import Prediction
from whence.report.terminal import describe_prediction


def predict_all(options: Namespace, files: Sequence[Path], device: str) -> None:
    """Answer for image files and print what came out.

    Args:
        options: of the command, checked.
        files: the images.
        device: where to compute.
    """
    model = load_to_answer(Path(options.run), device)
    for start in range(0, len(files), options.batch_size):
        batch = files[start : start + options.batch_size]
        found = read_images(batch, size=model.image_shape[1:], channels=model.image_shape[0])
        for note in found.notes:
            print_note(note)
        answers = predict(model, found.images, batch_size=options.batch_size)
        for path, answer in zip(batch, answers, strict=True):
            if options.json:
                print(json.dumps(to_json(path, answer, model.class_names)))
            else:
                shown = escape_sources(answer)
                print(describe_prediction(escape(str(path)), shown, model.class_names))


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
    }
