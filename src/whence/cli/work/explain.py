"""Explain images and write a page, figures or JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.cli.traces import without_font_folder
from whence.cli.work.images import read_asked, read_test, report_unread
from whence.gather.explained import describe_origin, explain_images, lacks_pixels
from whence.models.about import read_about
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.explained import Answer, Origin
from whence.report.as_json import to_json
from whence.report.doubt import find_doubt
from whence.report.explain_page import render_answers
from whence.report.numbers import percent
from whence.storage.whole_files import write_whole


def explain_all(
    options: Namespace, kind: str, paths: Sequence[Path], files: Sequence[Path], device: str
) -> int:
    """Explain images and write a page, figures or JSON.

    Args:
        options: of the command, checked.
        kind: html, png or json.
        paths: of the images; without any, ``options.test`` names images of the test set.
        files: that are written; without any, the answer is printed.
        device: where to compute.

    Returns:
        1 if a file could not be read, else 0.
    """
    folder = Path(options.run)
    about = read_about(folder)
    model = load_to_answer(folder, device)
    where, ready = read_where(options), None
    if options.morph:
        from whence.cli.work.morph import prepare_morph  # late: few explanations need it

        ready = prepare_morph(options, folder, about, model)
    asked = read_test(folder, options.test, where) if options.test else read_asked(paths, model)
    for note in (*asked.notes, *(note for notes in asked.own_notes for note in notes)):
        print_note(note)
    answers = explain_images(
        model,
        asked.images,
        asked.names,
        asked.truths,
        draws=options.draws,
        memory_size=options.memory_size,
        seed=options.seed,
        with_heatmaps=not options.no_heatmaps,
        steps=options.steps,
        baseline=options.baseline,
        memory=options.memory,
        batch_size=options.batch_size,
    )
    answers = tuple(
        replace(answer, notes=notes) for answer, notes in zip(answers, asked.own_notes, strict=True)
    )
    if asked.originals:
        answers = tuple(
            replace(answer, original=original)
            for answer, original in zip(answers, asked.originals, strict=True)
        )
    settings, notes = describe_settings(options, model), asked.notes
    if ready is not None:
        morphs = ready.ask(asked)
        answers = tuple(
            replace(answer, morph=morph) for answer, morph in zip(answers, morphs, strict=True)
        )
        settings, notes = [*settings, *ready.facts], (*notes, *ready.notes)
    origin = describe_origin(folder, about, model, settings)
    origin = replace(origin, notes=(*notes, *origin.notes))
    content = write(answers, origin, model.class_names, kind, options.with_heatmaps)
    if not files:
        print(content[0].decode(), end="")
        return report_unread(asked.unread, len(paths))
    for path, part in zip(files, content, strict=True):
        write_whole(path, part)
    for answer in answers:
        print(escape(describe(answer, model.class_names)))
    print(f"Written: {', '.join(escape(str(path)) for path in files)}")
    return report_unread(asked.unread, len(paths))


def describe_settings(options: Namespace, model: Classifier) -> list[tuple[str, str]]:
    """Name what the explanation itself was made with."""
    found = []
    if model.has_memory and options.draws:
        found.append(("random memories", f"{options.draws} draws, seed {options.seed}"))
    if not options.no_heatmaps and not lacks_pixels(model):
        which = "the evidence" if options.memory == "evidence" else "the whole memory"
        text = f"integrated gradients, {options.steps} steps from {options.baseline}"
        if model.has_memory:
            text += f", the image and {which} moved together"
        found.append(("heatmaps", text))
    return found


def write(
    answers: Sequence[Answer],
    origin: Origin,
    names: Sequence[str],
    kind: str,
    with_heatmaps: bool,
) -> list[bytes]:
    """Make the content of all files before the first is written."""
    if kind == "html":
        return [encode_page(render_answers(answers, origin, names))]
    if kind == "json":
        content = to_json(answers, origin, names, with_heatmaps=with_heatmaps)
        return [(json.dumps(content, indent=1, allow_nan=False) + "\n").encode()]
    with without_font_folder():
        from whence.report.figures import draw_evidence, draw_heatmaps

        return [draw_evidence(answers, names), draw_heatmaps(answers, names)]


def describe(answer: Answer, names: Sequence[str]) -> str:
    """Say one answer and how far to trust it in a line."""
    explanation = answer.explanation
    share = percent(float(explanation.probabilities[explanation.predicted]))
    title = find_doubt(answer, names).title.lower()
    return f"{answer.name}: {names[explanation.predicted]} ({share}), {title}"
