"""Explain images and write a page, figures or JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.attribution.attribute import choose_kind
from whence.attribution.method import Method, find_method
from whence.cli.asked import CommandPlan
from whence.cli.files import encode_page
from whence.cli.options import METHOD_OPTIONS, NO_METHOD
from whence.cli.plain_text import escape
from whence.cli.traces import without_font_folder
from whence.cli.work.images import Asked, read_images_asked, report_unread
from whence.cli.work.method_options import read_method_options, read_target_text
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


def explain_all(options: Namespace, kind: str, plan: CommandPlan) -> int:
    """Explain images and write a page, figures or JSON.

    Args:
        options: of the command, checked.
        kind: html, png or json.
        plan: images, files and the device.

    Returns:
        1 if a file could not be read, else 0.
    """
    folder = Path(options.run)
    about = read_about(folder)
    method = None if options.method == NO_METHOD else find_method(options.method)
    of_method = {} if method is None else choose_options(method, options)
    model = load_to_answer(folder, plan.device)
    target, ready = read_target_text(options.target, model.class_names), None
    score = choose_kind(model, target, options.score)
    if options.morph:
        from whence.cli.work.morph import prepare_morph  # late: few explanations need it

        ready = prepare_morph(options, folder, about, model)
    asked = read_images_asked(options, plan.paths, model)
    answers = explain_images(
        model,
        asked.images,
        asked.names,
        asked.truths,
        draws=options.draws,
        memory_size=options.memory_size,
        seed=options.seed,
        method=None if method is None else method.name,
        options=of_method,
        target=target,
        score=score,
        batch_size=options.batch_size,
    )
    answers = add_what_is_known(answers, asked)
    settings, notes = describe_settings(options, model, method, of_method), asked.notes
    if ready is not None:
        morphs = ready.ask(asked)
        answers = tuple(
            replace(answer, morph=morph, notes=morph.notes)
            for answer, morph in zip(answers, morphs, strict=True)
        )
        settings, notes = [*settings, *ready.facts], (*notes, *ready.notes)
    origin = describe_origin(folder, about, model, settings)
    origin = replace(origin, notes=(*notes, *origin.notes))
    content = write(answers, origin, model.class_names, kind, options.with_pixels)
    if not plan.files:
        print(content[0].decode(), end="")
        return report_unread(asked.unread, len(plan.paths))
    for path, part in zip(plan.files, content, strict=True):
        write_whole(path, part)
    for answer in answers:
        print(escape(describe(answer, model.class_names)))
    print(f"Written: {', '.join(escape(str(path)) for path in plan.files)}")
    return report_unread(asked.unread, len(plan.paths))


def add_what_is_known(answers: Iterable[Answer], asked: Asked) -> tuple[Answer, ...]:
    """Put what is known of the images that were asked about beside their answers."""
    originals = asked.originals or [None] * len(asked.own_notes)
    return tuple(
        replace(answer, notes=notes, original=original)
        for answer, notes, original in zip(answers, asked.own_notes, originals, strict=True)
    )


def choose_options(method: Method, options: Namespace) -> dict[str, Any]:
    """Take what was said of a method's options; what is random follows the seed.

    Raises:
        ValueError: on an option that the method does not have, or lacks.
    """
    given = {name: getattr(options, name) for name in METHOD_OPTIONS}
    known = {name: value for name, value in given.items() if value is not None}
    found = read_method_options([method.name], options.option or (), known, options.seed)
    method.complete(found[method.name])
    return found[method.name]


def describe_settings(
    options: Namespace, model: Classifier, method: Method | None, of_method: dict[str, Any]
) -> list[tuple[str, str]]:
    """Name what the explanation itself was made with."""
    found = []
    if model.has_memory and options.draws:
        found.append(("random memories", f"{options.draws} draws, seed {options.seed}"))
    if method is not None and not lacks_pixels(model):
        used = method.complete(of_method)
        given = {name: value for name, value in used.items() if value is not None}
        shown = [f"{name} {value}" for name, value in given.items() if name != "generator"]
        found.append(("attribution", ", ".join([method.name.replace("_", " "), *shown])))
    return found


def write(
    answers: Sequence[Answer],
    origin: Origin,
    names: Sequence[str],
    kind: str,
    with_pixels: bool,
) -> list[bytes]:
    """Make the content of all files before the first is written."""
    if kind == "html":
        return [encode_page(render_answers(answers, origin, names))]
    if kind == "json":
        content = to_json(answers, origin, names, with_pixels=with_pixels)
        return [(json.dumps(content, indent=1, allow_nan=False) + "\n").encode()]
    with without_font_folder():
        from whence.report.figures import draw_evidence, draw_relevance

        return [draw_evidence(answers, names), draw_relevance(answers, names)]


def describe(answer: Answer, names: Sequence[str]) -> str:
    """Say one answer and how far to trust it in a line."""
    explanation = answer.explanation
    share = percent(float(explanation.probabilities[explanation.predicted]))
    title = find_doubt(answer.explanation, names).title.lower()
    return f"{answer.name}: {names[explanation.predicted]} ({share}), {title}"
