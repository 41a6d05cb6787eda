"""``whence report``: a page about a whole run."""

import json
import sys
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.cli.explain import check_model, refuse_existing
from whence.cli.options import add_device, build_parser, choose_device, parse
from whence.data.fingerprint import fingerprint
from whence.experiments.explained import describe_origin, explain_images, lacks_pixels
from whence.experiments.finished import load_run_data, read_run, read_settings
from whence.experiments.overview import describe_run, gather_overview
from whence.experiments.overview_json import to_json
from whence.prediction.files import write_whole
from whence.prediction.model import Classifier
from whence.prediction.saved import load
from whence.records import Dataset
from whence.report.answer import Answer
from whence.report.numbers import count, percent
from whence.report.overview import Hard, Overview
from whence.report.overview_page import render_overview

STEPS = 16
"""Points on the path of the hard cases' heatmaps."""

DRAWS = 20
"""Random memories that the hard cases are answered with again."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "report",
        "Measure a run on its test images and write one HTML page about it as a whole: accuracy "
        "and confusions, how far its evidence and its signs of doubt can be trusted, the stored "
        "images that it uses most and those used in errors, labels that look wrong, and the "
        "hardest test images with their full explanations.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")
    parser.add_argument(
        "--out",
        type=str,
        metavar="FILE",
        help="by default RUN-report.html, named after the run, here",
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--data", type=str, help="other images: a dataset's name or image folder")
    parser.add_argument(
        "--hard", type=int, default=8, metavar="N", help="hard cases that are explained (8)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the numbers as JSON, printed unless there is an --out"
    )
    parser.add_argument("--seed", type=int, help="of the random memories; the run's by default")
    parser.add_argument("--batch-size", type=int, default=128, help="images encoded at once (128)")
    add_device(parser)
    return parser


def report(arguments: list[str]) -> None:
    """Measure a run and write a page, or its numbers as JSON."""
    options = parse(build(), arguments)
    check_options(options)
    folder = Path(options.run)
    file = choose_file(options, folder)
    if file is not None:
        refuse_existing([file], force=options.force)
    about = read_run(folder)
    model = load(folder, device=choose_device(options.device))
    check_model(folder, model)
    dataset = load_run_data(folder, about, options.data)
    for note in dataset.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"Measuring {count(len(dataset.test), 'test image')} ...", file=sys.stderr)
    made = describe_run(about, read_settings(folder), dataset.name, model)
    seed = about["run"]["plan"]["seed"] if options.seed is None else options.seed
    overview = gather_overview(
        model, dataset.test, made, hard=options.hard, seed=seed, batch_size=options.batch_size
    )
    if options.json:
        content = json.dumps(to_json(overview, str(folder)), indent=1, allow_nan=False) + "\n"
    else:
        answers = explain_hard(
            model, dataset, overview.hard, seed=seed, batch_size=options.batch_size
        )
        settings = describe_settings(model, dataset, seed, explained=len(answers))
        origin = describe_origin(folder, about, model, settings)
        content = render_overview(overview, answers, origin)
    if file is None:
        print(content, end="")
        return
    write_whole(file, content.encode())
    print(describe(overview))
    print(f"Written: {file}")


def check_options(options: Namespace) -> None:
    """Refuse numbers that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    for name, least in (("hard", 0), ("batch_size", 1)):
        number = getattr(options, name)
        if number < least:
            raise ValueError(f"{name.replace('_', '-')} must be at least {least}, got {number}.")
    if options.seed is not None and not 0 <= options.seed < 2**63:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {options.seed}.")


def choose_file(options: Namespace, folder: Path) -> Path | None:
    """Name the file that will be written; None where the numbers go to the screen."""
    if options.out:
        return Path(options.out)
    return None if options.json else Path(f"{folder.resolve().name}-report.html")


def explain_hard(
    model: Classifier, dataset: Dataset, hard: tuple[Hard, ...], *, seed: int, batch_size: int
) -> tuple[Answer, ...]:
    """Explain the hard cases, with heatmaps and random memories."""
    if not hard:
        return ()
    chosen = dataset.test.take([one.place for one in hard])
    sources = chosen.sources or [None] * len(hard)
    return explain_images(
        model,
        chosen.images,
        [name_test(one.place, source) for one, source in zip(hard, sources, strict=True)],
        [one.truth for one in hard],
        draws=DRAWS,
        seed=seed,
        steps=STEPS,
        batch_size=batch_size,
    )


def name_test(place: int, source: str | None) -> str:
    """Say which test image it is, and its file where it has one."""
    return f"test image {place}" + (f", {source}" if source else "")


def describe_settings(
    model: Classifier, dataset: Dataset, seed: int, *, explained: int
) -> list[tuple[str, str]]:
    """Name what the report itself was made with."""
    found = [
        ("test images", f"{len(dataset.test):,} of {dataset.name}"),
        ("hash of the test images", fingerprint(dataset.test)),
    ]
    if model.has_memory:
        found.append(("random memories", f"seed {seed}"))
    if explained and not lacks_pixels(model):
        found.append(("heatmaps", f"integrated gradients, {STEPS} steps from white"))
    return found


def describe(overview: Overview) -> str:
    """Say in a line what the page shows."""
    found = overview.evaluation
    line = f"{percent(found.whole_memory)} of {count(found.images, 'test image')} right"
    if overview.suspicious is not None:
        line += f", {count(len(overview.suspicious), 'suspicious label')}"
    return f"{line}, {count(len(overview.hard), 'hard case')} explained"
