"""Compare two runs on the same images, or look for drift with one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import Namespace
from torch import Tensor

from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.data import DATASETS
from whence.data.fingerprint import content_hashes
from whence.data.sample_table import is_unlabelled, load_unlabelled
from whence.evidence.known import is_known
from whence.gather.compared import compare_runs, match_order
from whence.gather.explained import describe_origin
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.explained import Origin
from whence.report.compare_page import render_compared
from whence.report.compared import compared_to_json, describe_compared
from whence.runs.finished import read_run
from whence.runs.image_record import find_seen, note_record, read_image_record
from whence.runs.load_parts import load_part
from whence.runs.sample_of_run import choose_sample
from whence.runs.where import Where
from whence.storage.whole_files import write_whole


class SameImages(NamedTuple):
    """The images that runs are compared on, as one of them sees them."""

    data: str
    images: Tensor
    names: list[str]
    truths: list[int | None]
    notes: tuple[str, ...]


def compare_on_images(
    options: Namespace,
    files: Sequence[Path],
    device: str,
    *,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
) -> None:
    """Compare runs, and write a page, or print the numbers as JSON.

    Args:
        options: of the command, checked.
        files: the one that is written; without any, the numbers are printed.
        device: where to compute.
        renamed: classes of other images that are called otherwise than the runs'.
        columns: of a table of other images, by what they say.
    """
    folders = [Path(one) for one in (options.run, options.second) if one is not None]
    about = [read_run(folder) for folder in folders]
    names = name_runs(folders)
    for name, one in zip(names, about, strict=True):
        match_order(about[0]["classes"], name, one["classes"])  # before any image is read
    models = [load_to_answer(folder, device) for folder in folders]
    where, both = read_where(options), list(zip(folders, about, strict=True))
    tested: list[Tensor | None] = [None] * len(folders)
    if options.data is None:
        read = read_own(folders, about, where)
    else:
        read = [read_images_of(*one, options.data, renamed, columns, where) for one in both]
        tested = [find_tested(*one, where) for one in both]
    found = compare_runs(
        dict(zip(names, models, strict=True)),
        [one.images for one in read],
        read[0].names,
        read[0].truths,
        data=read[0].data,
        tested=tested,
        batch_size=options.batch_size,
    )
    notes = {note: None for one in read for note in one.notes}
    for name, folder, one, model, seen in zip(names, folders, about, models, read, strict=True):
        notes |= dict.fromkeys(note_seen(name, folder, one, model, seen.images))
    found = replace(found, notes=tuple(notes))
    for note in notes:
        print_note(note)
    if options.json:
        content = json.dumps(compared_to_json(found), indent=1, allow_nan=False) + "\n"
    else:
        content = render_compared(found, join_origins(names, folders, about, models, found.notes))
    if not files:
        print(content, end="")
        return
    write_whole(files[0], encode_page(content))
    for line in describe_compared(found):
        print(escape(line))
    print(f"Written: {escape(str(files[0]))}")


def name_runs(folders: Sequence[Path]) -> list[str]:
    """Call runs by their folders' names; the second by a number more where these are the same."""
    names = [folder.resolve().name for folder in folders]
    return [*names[:1], *(f"{name} (2)" if name == names[0] else name for name in names[1:])]


def read_own(
    folders: Sequence[Path], about: Sequence[dict[str, Any]], where: Where
) -> list[SameImages]:
    """Take the test images of the first run for both.

    Raises:
        ValueError: if the second sees images at another size.
    """
    shapes = {tuple(one["image_shape"]) for one in about}
    if len(shapes) > 1:
        raise ValueError(
            "The runs see images at different sizes; name the images to compare them on with "
            "--data FOLDER, which are read for each."
        )
    first = read_images_of(folders[0], about[0], None, {}, {}, where)
    return [first] * len(folders)


def read_images_of(
    folder: Path,
    about: dict[str, Any],
    data: str | None,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
    where: Where,
) -> SameImages:
    """Read images as a run sees them: its own test images, or others, with labels or without.

    Raises:
        ValueError: if classes are to be mapped where there are none.
    """
    if data is not None and data not in DATASETS and is_unlabelled(data, columns):
        if renamed:
            raise ValueError(f"{data} has no labels: classes cannot be mapped; leave out --map.")
        found = load_unlabelled(data, tuple(about["image_shape"]), columns=columns)
        names = list(found.sources)
        return SameImages(found.name, found.images, names, [None] * len(names), found.notes)
    sample = choose_sample(
        folder, about, data, renamed=renamed, columns=columns, where=where
    ).sample
    total = len(sample.images)
    names = list(sample.images.sources or (f"image {place}" for place in range(total)))
    return SameImages(
        sample.name, sample.images.images, names, sample.images.labels.tolist(), sample.notes
    )


def find_tested(folder: Path, about: dict[str, Any], where: Where) -> Tensor | None:
    """Load the own test images of a run; None if they are not there any more."""
    try:
        return load_part(folder, about, "test", where=where).images
    except (FileNotFoundError, ValueError):
        return None


def note_seen(
    name: str, folder: Path, about: dict[str, Any], model: Classifier, images: Tensor
) -> list[str]:
    """Say how many of the images a run has learnt from, or stores."""
    record = read_image_record(folder, about)
    known = sum(is_known(content_hashes(images), find_seen(model, record)))
    notes = list(note_record(record))
    if known:
        notes.append(
            f"{name} knows {known:,} of the {len(images):,} images from its training; its answers "
            "to them say little about new images."
        )
    return notes


def join_origins(
    names: Sequence[str],
    folders: Sequence[Path],
    about: Sequence[dict[str, Any]],
    models: Sequence[Classifier],
    notes: tuple[str, ...],
) -> Origin:
    """Put what both runs were made with below each other."""
    facts: list[tuple[str, str]] = []
    for number, (folder, one, model) in enumerate(zip(folders, about, models, strict=True), 1):
        start = f"run {number}: " if len(folders) > 1 else ""
        own = describe_origin(folder, one, model).facts
        facts += [(f"{start}{name}", value) for name, value in own]
    return Origin(names[0], any(model.has_memory for model in models), tuple(facts), notes)
