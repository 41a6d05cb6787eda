"""The work of ``whence explain``; its options stand apart, so that its help loads no torch."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jsonargparse import Namespace
from PIL import Image
from torch import Tensor

from whence.cli.plain_text import escape, print_note
from whence.data.decode import ORIENTATION, list_conversions
from whence.data.image_file import read_images
from whence.gather.explained import describe_origin, explain_images, lacks_pixels
from whence.models.classifier import Classifier
from whence.models.saved import load, read_about
from whence.records.images import Dataset
from whence.report.answer import Answer, Origin
from whence.report.as_json import to_json
from whence.report.doubt import find_doubt
from whence.report.numbers import percent
from whence.report.page import render
from whence.runs.finished import load_run_data, read_run
from whence.storage.whole_files import write_whole

TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


class Asked(NamedTuple):
    """The images that are to be explained."""

    images: Tensor  # (B, C, H, W) uint8
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]  # on all of them
    own_notes: list[tuple[str, ...]]


def explain_all(
    options: Namespace, kind: str, paths: Sequence[Path], files: Sequence[Path], device: str
) -> None:
    """Explain images and write a page, figures or JSON.

    Args:
        options: of the command, checked.
        kind: html, png or json.
        paths: of the images; without any, ``options.test`` names images of the test set.
        files: that are written; without any, the answer is printed.
        device: where to compute.
    """
    folder = Path(options.run)
    about = read_about(folder)
    model = load(folder, device=device)
    check_model(folder, model)
    ready = None
    if options.morph:
        from whence.cli.morph_work import prepare_morph  # late: few explanations need it

        ready = prepare_morph(options, folder, about, model)
    asked = read_test(folder, options.test) if options.test else read_files(paths, model)
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
        return
    for path, part in zip(files, content, strict=True):
        write_whole(path, part)
    for answer in answers:
        print(escape(describe(answer, model.class_names)))
    print(f"Written: {', '.join(escape(str(path)) for path in files)}")


def check_model(folder: Path, model: Classifier) -> None:
    """Refuse a model that has a head for a memory but no memory.

    Raises:
        ValueError: naming the way out.
    """
    if model.has_memory and model.bank is None:
        raise ValueError(
            f"{folder} holds a model without its memory; call model.remember(images) and save it "
            "again."
        )


def read_files(paths: Sequence[Path], model: Classifier) -> Asked:
    """Read image files as the model needs them."""
    channels, height, width = model.image_shape
    found = read_images(paths, size=(height, width), channels=channels)
    own = [note_file(path, height, width) for path in paths]
    return Asked(found.images, [str(p) for p in paths], [None] * len(paths), found.notes, own)


def note_file(path: Path, height: int, width: int) -> tuple[str, ...]:
    """Say when a file was converted, made smaller or larger, or cropped for the model."""
    with Image.open(path) as image:
        notes = tuple(f"{path.name}: {what}." for what in list_conversions(image))
        wide, high = image.size
        if image.getexif().get(ORIENTATION) in TURNED:
            wide, high = high, wide
    if (high, wide) == (height, width):
        return notes
    what = "it" if wide * height == high * width else "its middle"
    size = f"{path.name} has {wide} x {high} pixels; the model saw {what} at {width} x {height}."
    return (*notes, size)


def read_test(folder: Path, indices: Sequence[int]) -> Asked:
    """Take images of the run's own test set.

    Raises:
        ValueError: if an index is out of range, or the images are not there any more.
    """
    return take_test(load_run_data(folder, read_run(folder), None), indices)


def take_test(dataset: Dataset, indices: Sequence[int]) -> Asked:
    """Take test images of a dataset that was loaded.

    Raises:
        ValueError: if an index is out of range.
    """
    total = len(dataset.test)
    for index in indices:
        if not 0 <= index < total:
            raise ValueError(f"test must be in 0 to {total - 1}, got {index}.")
    chosen = dataset.test.take(torch.tensor(indices))
    sources = chosen.sources or [None] * len(indices)
    names = [
        f"test image {index}" + (f", {source}" if source else "")
        for index, source in zip(indices, sources, strict=True)
    ]
    return Asked(chosen.images, names, chosen.labels.tolist(), (), [()] * len(indices))


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
        return [render(answers, origin, names).encode()]
    if kind == "json":
        content = to_json(answers, origin, names, with_heatmaps=with_heatmaps)
        return [(json.dumps(content, indent=1, allow_nan=False) + "\n").encode()]
    from whence.report.figures import draw_evidence, draw_heatmaps

    return [draw_evidence(answers, names), draw_heatmaps(answers, names)]


def describe(answer: Answer, names: Sequence[str]) -> str:
    """Say one answer and how far to trust it in a line."""
    explanation = answer.explanation
    share = percent(float(explanation.probabilities[explanation.predicted]))
    title = find_doubt(answer, names).title.lower()
    return f"{answer.name}: {names[explanation.predicted]} ({share}), {title}"
