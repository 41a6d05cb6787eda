"""Measure attribution methods on a run, and write a page, a picture and JSON."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from tqdm import tqdm

from whence.attribution.asked_method import find_missing_option
from whence.attribution.refills import find_refill
from whence.autoencoders.imputation import refill_from
from whence.autoencoders.saved_vae import load_vae, read_about_vae
from whence.cli.align import align
from whence.cli.faithful_choices import choose_measures, choose_rows
from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.cli.work.faithfulness_bench import complete_bench
from whence.data.fingerprint import fingerprint
from whence.gather.explained import describe_origin
from whence.gather.faithful import UNTRAINED, make_bench
from whence.gather.faithfulness_table import CellFolder, fill_cells, summarise_cells
from whence.messages import count
from whence.metrics.attributed import Refill
from whence.models.about import MODEL
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.faithfulness import Faithfulness
from whence.records.images import ImageSet
from whence.report.as_faithfulness_json import faithfulness_to_json
from whence.report.faithfulness_figure import draw_curves
from whence.report.faithfulness_page import (
    ARROWS,
    COLUMNS_TOGETHER,
    NO_RANKING,
    render_faithfulness,
    write_cell,
)
from whence.runs.finished import read_run
from whence.runs.sample_of_run import choose_sample
from whence.seeds import make_generator
from whence.storage.whole_files import write_json, write_whole

TESTED_IMAGES = 500
"""Test images that tell how right a copy is, or more where more are measured."""


def measure_run(options: Namespace, device: str) -> None:
    """Measure methods on test images of a run.

    Args:
        options: of the command, checked.
        device: where to compute.
    """
    folder = Path(options.run)
    about = read_run(folder)
    out = Path(options.out)
    model = load_to_answer(folder, device)
    loaded = choose_sample(folder, about, None, where=read_where(options))
    sample = loaded.sample
    for note in sample.notes:
        print_note(note)
    images = draw_images(sample.images, options.images, options.seed)
    again = min(options.again, len(images))
    methods, measures = list_rows(options), choose_measures(options)
    cells = CellFolder(out)
    cells.claim(identify_cells(options, about, images, again))
    refill = choose_refill(options, model)
    bench = make_bench(
        model, images.images, refill, seed=options.seed, batch_size=options.batch_size
    )
    missing = cells.list_missing(methods, measures, len(images))
    tested = draw_images(sample.images, max(options.images, TESTED_IMAGES), options.seed)
    bench, notes = complete_bench(bench, images, options, folder, about, out, missing, tested)
    with tqdm(total=len(methods) * len(measures), unit="cell", disable=None, leave=False) as bar:

        def tell(method: str, measure: str) -> None:
            bar.set_description(f"{method}, {measure}")
            bar.update()
            if bar.disable and measure == measures[-1]:  # no terminal: a line for each method
                print(f"{method}: measured", file=sys.stderr, flush=True)

        found = fill_cells(
            bench,
            methods,
            measures,
            cells,
            options={} if options.baseline is None else {"baseline": options.baseline},
            again=again,
            report=tell,
        )
    table = summarise_cells(
        found,
        methods,
        measures,
        images=len(images),
        again=again,
        refill=options.refill,
        seed=options.seed,
        notes=notes,
    )
    write_table(table, out, folder, about, model, options)


def identify_cells(
    options: Namespace, about: Mapping[str, Any], images: ImageSet, again: int
) -> dict[str, Any]:
    """Say what cells are measured with: cells of a folder that says another thing are others."""
    vae = None if options.vae is None else read_about_vae(Path(options.vae))["sha256"]
    return {
        "format": 1,
        "model": about["sha256"][MODEL],
        "test_images": fingerprint(images),
        "images": len(images),
        "images_asked_again": again,
        "seed": options.seed,
        "baseline": options.baseline,
        "refill": options.refill,
        "autoencoder": vae,
    }


def list_rows(options: Namespace) -> list[str]:
    """List the rows of the table: methods and controls.

    Raises:
        ValueError: if a method was asked for that needs what no command can give.
    """
    methods = choose_rows(options)
    lacking = {name: find_missing_option(name) for name in methods if name != UNTRAINED}
    for name in options.methods:
        if lacking.get(name) is not None:
            raise ValueError(
                f"{name} needs the option {lacking[name]}, which no command can give; measure it "
                "in Python."
            )
    return [name for name in methods if lacking.get(name) is None]


def draw_images(images: ImageSet, wanted: int, seed: int) -> ImageSet:
    """Draw test images, in their order; all where there are no more."""
    drawn = torch.randperm(len(images), generator=make_generator(seed))[:wanted]
    return images.take(drawn.sort().values)


def choose_refill(options: Namespace, model: Classifier) -> Refill:
    """Make what stands in the place of hidden pixels.

    Raises:
        ValueError: if the autoencoder is of other images.
    """
    shape = model.image_shape
    if options.refill != "autoencoder":
        return find_refill(options.refill, shape, make_generator(options.seed))
    vae = load_vae(options.vae, device=model.mean.device)
    if vae.image_shape != shape:
        raise ValueError(
            f"vae must be of images of shape {shape}, as the run's, got {vae.image_shape}."
        )
    return refill_from(vae, batch_size=options.batch_size)


def write_table(
    table: Faithfulness,
    out: Path,
    folder: Path,
    about: dict[str, Any],
    model: Classifier,
    options: Namespace,
) -> None:
    """Write the page, the picture and the numbers, and print them."""
    origin = describe_origin(
        folder,
        about,
        model,
        [
            ("test images", f"{table.images:,}"),
            ("seed of the draws", str(options.seed)),
            ("baseline of methods that have one", options.baseline or "their own"),
        ],
    )
    content, curves = faithfulness_to_json(table, origin), draw_curves(table)
    write_json(out / "faithfulness.json", content)
    page = render_faithfulness(table, origin, curves)
    write_whole(out / "faithfulness.html", encode_page(page))
    if curves is not None:
        write_whole(out / "curves.png", curves)
    if options.json:
        print(json.dumps(content, indent=1, allow_nan=False))
        return
    print(write_out_table(table))
    print(f"Written: {escape(str(out / 'faithfulness.html'))}")


def write_out_table(table: Faithfulness) -> str:
    """Lay the table out for a terminal, a few measures at a time."""
    lines = [f"{count(table.images, 'test image')}, hidden pixels become {table.refill}"]
    for first in range(0, len(table.measures), COLUMNS_TOGETHER):
        part = table.measures[first : first + COLUMNS_TOGETHER]
        head = ["method", *(f"{one.name} ({ARROWS[one.better].split()[0]})" for one in part)]
        rows = [
            [method, *(write_cell(table.cells[method, one.name]) for one in part)]
            for method in table.methods
        ]
        lines += ["", *align([head, *rows])]
    failures = [
        f"  {name}: {', '.join(failed)}" for name, failed in table.list_failures().items() if failed
    ]
    if failures:
        lines += ["", "No better than the control (\N{MULTIPLICATION SIGN}):", *failures]
    return "\n".join([*lines, "", *table.notes, NO_RANKING])
