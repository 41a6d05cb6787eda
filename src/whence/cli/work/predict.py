"""Answer for image files, one after the other."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jsonargparse import Namespace

from whence.cli.plain_text import escape, print_note
from whence.cli.work.images import report_unread
from whence.data.image_file import count_sizes, read_readable
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.records.answers import Prediction
from whence.report.as_json import lay_out_answer
from whence.report.terminal import describe_prediction

TOP = 3
"""Evidence images of an answer that are printed as text unless another number is asked for."""

COLUMNS = ("image", "answer", "probability", "evidence", "label", "weight", "problem")
"""Of the table: the answer, and the stored image of highest weight."""


@dataclass(frozen=True)
class Form:
    """How answers are printed.

    Attributes:
        answer: what is printed of a file's answer.
        problem: what is printed of a file that cannot be read.
        head: what is printed first; None for nothing.
    """

    answer: Callable[[Path, Prediction], str]
    problem: Callable[[Path, Exception], str]
    head: str | None = None


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
    form = choose_form(options, model.class_names)
    channels, height, width = model.image_shape
    unread = 0
    if form.head is not None:
        print(form.head)
    for start in range(0, len(files), options.batch_size):
        batch = files[start : start + options.batch_size]
        found, problems = read_readable(batch, size=(height, width), channels=channels)
        for note in (*found.notes, *count_sizes(found.files, height, width)):
            print_note(note)
        images = found.images
        answers = iter(predict(model, images, batch_size=options.batch_size) if len(images) else ())
        for place, path in enumerate(batch):
            if place in problems:
                print(form.problem(path, problems[place]))
            else:
                print(form.answer(path, next(answers)))
        unread += len(problems)
    return report_unread(unread, len(files))


def choose_form(options: Namespace, names: tuple[str, ...]) -> Form:
    """Choose how answers are printed; classes are called by their names."""

    def as_text(path: Path, answer: Prediction) -> str:
        top = TOP if options.top is None else options.top
        top = 0 if options.brief else top
        return describe_prediction(escape(str(path)), escape_sources(answer), names, top=top)

    def as_json(path: Path, answer: Prediction) -> str:
        laid = lay_out_answer(str(path), answer, names)
        shown = {"classes": list(names), "evidence": laid["evidence"][: options.top]}
        return json.dumps(laid | shown)

    def as_row(path: Path, answer: Prediction) -> str:
        share = f"{float(answer.probabilities[answer.predicted]):.6f}"
        return write_row(path, names[answer.predicted], share, *name_best(answer, names), "")

    if options.json:
        return Form(as_json, lambda path, why: json.dumps({"image": str(path), "error": str(why)}))
    if options.csv:
        return Form(as_row, lambda path, why: write_row(path, *[""] * 5, why), write_row(*COLUMNS))
    return Form(as_text, lambda path, why: f"{escape(str(path))}: no answer; {escape(str(why))}")


def name_best(answer: Prediction, names: tuple[str, ...]) -> tuple[str, str, str]:
    """Name the stored image of highest weight, its label and its weight; "" without a memory."""
    if not answer.evidence:
        return "", "", ""
    best = answer.evidence[0]
    label = "" if best.label is None else names[best.label]
    return best.source or str(best.index), label, f"{best.weight:.6f}"


def write_row(*entries: object) -> str:
    """Write a row of a table, quoted where it must be."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([escape(str(entry)) for entry in entries])
    return line.getvalue()


def escape_sources(answer: Prediction) -> Prediction:
    """Make the file names of the evidence fit for a terminal."""
    evidence = tuple(
        item if item.source is None else replace(item, source=escape(item.source))
        for item in answer.evidence
    )
    return replace(answer, evidence=evidence)
