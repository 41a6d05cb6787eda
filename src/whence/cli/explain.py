"""``whence explain``: a page that shows the evidence behind answers."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jsonargparse import ArgumentParser, Namespace
from PIL import Image
from torch import Tensor

from whence.cli.options import add_device, build_parser, choose_device, parse
from whence.cli.predict import find_images
from whence.data.decode import ORIENTATION, list_conversions
from whence.data.image_file import read_images
from whence.experiments.explained import describe_origin, explain_images, lacks_pixels
from whence.experiments.finished import load_run_data, read_run
from whence.explanation.baselines import BASELINES
from whence.explanation.heatmaps import MOVED
from whence.prediction.files import write_whole
from whence.prediction.model import Classifier
from whence.prediction.saved import load, read_about
from whence.report.answer import Answer, Origin
from whence.report.as_json import to_json
from whence.report.doubt import find_doubt
from whence.report.numbers import percent
from whence.report.page import render

FORMATS = ("html", "png", "json")
TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


class Asked(NamedTuple):
    """The images that are to be explained."""

    images: Tensor  # (B, C, H, W) uint8
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]  # on all of them
    own_notes: list[tuple[str, ...]]


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "explain",
        "Answer for images and write one HTML page that shows the evidence the model used: the "
        "stored training images with their weights, an example and a counterfactual with "
        "heatmaps, what would change the answer, and how far to trust it.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")
    parser.add_argument("images", type=str, nargs="*", metavar="IMAGE", help="files or folders")
    parser.add_argument(
        "--test",
        type=int,
        nargs="+",
        metavar="INDEX",
        help="images of the run's own test set, by index, in place of files",
    )
    parser.add_argument(
        "--out", type=str, metavar="FILE", help="by default RUN.html, named after the run, here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--format",
        type=str,
        metavar="CHOICE",
        help="html (default), png (two figures) or json (printed unless there is an --out)",
    )
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument("--no-heatmaps", action="store_true", help="leave the heatmaps out; quick")
    parser.add_argument(
        "--with-heatmaps", action="store_true", help="every pixel of the heatmaps in the JSON"
    )
    parser.add_argument("--steps", type=int, default=32, help="of the heatmaps' path (32)")
    parser.add_argument(
        "--baseline",
        type=str,
        default="white",
        metavar="CHOICE",
        help=f"where that path starts: {', '.join(BASELINES)} (white)",
    )
    parser.add_argument(
        "--memory",
        type=str,
        default="evidence",
        metavar="CHOICE",
        help="stored images that take that path: evidence or all (evidence)",
    )
    parser.add_argument("--draws", type=int, default=20, help="random memories to compare (20)")
    parser.add_argument(
        "--memory-size", type=int, metavar="M", help="images in each of them (100, or all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of these random memories (0)")
    parser.add_argument("--batch-size", type=int, default=128, help="images encoded at once (128)")
    add_device(parser)
    return parser


def explain(arguments: list[str]) -> None:
    """Explain images and write a page, figures or JSON."""
    options = parse(build(), arguments)
    kind = choose_format(options)
    check_options(options, kind)
    folder = Path(options.run)
    files = choose_files(options.out, folder, kind, to_screen=kind == "json" and not options.out)
    refuse_existing(files, force=options.force)
    about = read_about(folder)
    if options.test is None:
        paths = find_images([Path(name) for name in options.images])  # before the model is read
    model = load(folder, device=choose_device(options.device))
    check_model(folder, model)
    asked = read_test(folder, options.test) if options.test else read_files(paths, model)
    for note in (*asked.notes, *(note for notes in asked.own_notes for note in notes)):
        print(f"note: {note}", file=sys.stderr)
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
    origin = describe_origin(folder, about, model, describe_settings(options, model))
    origin = replace(origin, notes=(*asked.notes, *origin.notes))
    content = write(answers, origin, model.class_names, kind, options.with_heatmaps)
    if not files:
        print(content[0].decode(), end="")
        return
    for path, part in zip(files, content, strict=True):
        write_whole(path, part)
    for answer in answers:
        print(describe(answer, model.class_names))
    print(f"Written: {', '.join(str(path) for path in files)}")


def choose_format(options: Namespace) -> str:
    """Combine ``--format`` and ``--json``.

    Raises:
        ValueError: if the format is unknown, or both were given and differ.
    """
    kind = options.format or ("json" if options.json else "html")
    if kind not in FORMATS:
        raise ValueError(f"Unknown format {kind!r}. Choose from: {', '.join(FORMATS)}.")
    if options.json and kind != "json":
        raise ValueError(f"format must be json with --json, got {kind!r}; leave one of them out.")
    return str(kind)


def check_options(options: Namespace, kind: str) -> None:
    """Refuse options that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    if bool(options.images) == bool(options.test):
        raise ValueError("IMAGE must name files or folders, or --test images of the test set.")
    for name, least in (("steps", 1), ("draws", 0), ("batch_size", 1)):
        number = getattr(options, name)
        if number < least:
            raise ValueError(f"{name.replace('_', '-')} must be at least {least}, got {number}.")
    if not 0 <= options.seed < 2**63:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {options.seed}.")
    BASELINES.find(options.baseline)
    if options.memory not in MOVED:
        raise ValueError(f"Unknown memory {options.memory!r}. Choose from: {', '.join(MOVED)}.")
    if options.with_heatmaps and (kind != "json" or options.no_heatmaps):
        raise ValueError("with-heatmaps is for --format json with heatmaps; leave it out.")


def choose_files(out: str | None, folder: Path, kind: str, *, to_screen: bool) -> list[Path]:
    """Name the files that will be written, none where the answer goes to the screen."""
    if to_screen:
        return []
    path = Path(out) if out else Path(f"{folder.resolve().name}.{kind}")
    if kind == "png":
        stem = path.with_suffix("") if path.suffix.lower() == ".png" else path
        return [stem.with_name(f"{stem.name}-{what}.png") for what in ("evidence", "heatmaps")]
    return [path]


def refuse_existing(files: Sequence[Path], *, force: bool) -> None:
    """Refuse to write where something is.

    Raises:
        FileExistsError: naming it.
    """
    for path in files:
        there = next((one for one in (path, *path.parents) if one.exists()), path)
        if path.is_dir():
            raise FileExistsError(f"{path} is a folder; name a file with --out.")
        if there != path and not there.is_dir():
            raise FileExistsError(f"{path} must be in a folder, but {there} is a file.")
        if there == path and path.exists() and not path.is_file():
            raise FileExistsError(f"{path} is no ordinary file; choose another --out.")
        if not force and (path.exists() or path.is_symlink()):
            raise FileExistsError(
                f"{path} is there already; choose another --out, or add --force to overwrite it."
            )


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
    dataset = load_run_data(folder, read_run(folder), None)
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
