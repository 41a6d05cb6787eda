"""Measure a run and write a page about it, or its numbers as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.cli.work.images import read_originals
from whence.data import DATASETS
from whence.data.fingerprint import fingerprint
from whence.evidence.known import count_known
from whence.gather.explained import describe_origin, explain_images, lacks_pixels
from whence.gather.overview import describe_run, gather_overview
from whence.gather.overview_json import overview_to_json
from whence.messages import count
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.by_group import Groups
from whence.records.explained import Answer
from whence.records.images import ImageSet, Sample
from whence.records.overview import Hard, Overview
from whence.report.known import say_known
from whence.report.numbers import percent
from whence.report.overview_page import render_overview
from whence.runs.audit import read_corrected, write_audit
from whence.runs.finished import read_run, read_settings
from whence.runs.image_groups import find_own_table, read_all_groups
from whence.runs.image_record import find_seen, note_record, read_image_record
from whence.runs.sample_of_run import LoadedSample, choose_sample
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY
from whence.storage.whole_files import write_whole

STEPS = 16
"""Points on the path of the hard cases' attribution."""

DRAWS = 20
"""Random memories that the hard cases are answered with again."""


def report_run(
    options: Namespace,
    files: Sequence[Path],
    device: str,
    *,
    renamed: Mapping[str, str],
    columns: Mapping[str, str],
) -> None:
    """Measure a run and write a page, or its numbers as JSON.

    Args:
        options: of the command, checked.
        files: the page, and the table of suspicious labels; without any, numbers are printed.
        device: where to compute.
        renamed: classes of other images that are called otherwise than the run's.
        columns: of a table of other images, by what they say.
    """
    folder = Path(options.run)
    about = read_run(folder)
    model = load_to_answer(folder, device)
    where = read_where(options)
    loaded = choose_sample(
        folder, about, options.data, renamed=renamed, columns=columns, where=where
    )
    record = read_image_record(folder, about)
    for note in (*loaded.sample.notes, *note_record(record)):
        print_note(note)
    seed = about["run"]["plan"]["seed"] if options.seed is None else options.seed
    overview = measure_overview(options, about, model, loaded.sample, columns, seed)
    overview = add_what_was_known(overview, options, about, loaded, find_seen(model, record))
    if options.json:
        laid = overview_to_json(overview, str(folder))
        content = json.dumps(laid, indent=1, allow_nan=False) + "\n"
    else:
        content = make_page(overview, options, about, model, loaded.sample, columns, seed)
    if not files:
        print(content, end="")
        return
    write_whole(files[0], encode_page(content))
    print(describe(overview))
    written = [str(files[0]), *write_tables(overview, files, folder)]
    print(f"Written: {', '.join(map(escape, written))}")


def measure_overview(
    options: Namespace,
    about: dict[str, Any],
    model: Classifier,
    sample: Sample,
    columns: Mapping[str, str],
    seed: int,
) -> Overview:
    """Measure a run on images, with the groups that are asked for or known."""
    print(f"Measuring {count(len(sample.images), 'test image')} ...", file=sys.stderr)
    settings = read_settings(Path(options.run))
    groups = choose_groups(options, settings, sample.images, model, columns)
    return gather_overview(
        model,
        sample.images,
        describe_run(about, settings, sample.name, model),
        hard=options.hard,
        seed=seed,
        groups=groups,
        batch_size=options.batch_size,
    )


def add_what_was_known(
    overview: Overview,
    options: Namespace,
    about: dict[str, Any],
    loaded: LoadedSample,
    seen: Mapping[str, frozenset[str]],
) -> Overview:
    """Add which images the run has seen, which is said, and what was corrected before it."""
    found, labels = overview.evaluation, loaded.sample.images.labels
    known = count_known(loaded.hashes, found.predicted, labels, seen)
    sentence = say_known(known)
    if sentence is not None:
        print_note(sentence)
    after = (found.whole_memory, found.balanced_accuracy)
    corrected = read_corrected(about["run"], after if options.data is None else None)
    return replace(overview, evaluation=replace(found, known=known), corrections=corrected)


def make_page(
    overview: Overview,
    options: Namespace,
    about: dict[str, Any],
    model: Classifier,
    sample: Sample,
    columns: Mapping[str, str],
    seed: int,
) -> str:
    """Explain the hard cases, and make the page."""
    folder = Path(options.run)
    answers = explain_hard(model, sample, overview.hard, seed=seed, batch_size=options.batch_size)
    answers = add_originals(
        answers, overview.hard, sample.images, folder, options, model, columns=columns
    )
    settings = describe_settings(model, sample, seed, explained=len(answers))
    return render_overview(overview, answers, describe_origin(folder, about, model, settings))


def choose_groups(
    options: Namespace,
    settings: Settings,
    images: ImageSet,
    model: Classifier,
    columns: Mapping[str, str],
) -> Groups | None:
    """Read the groups that are asked for, or those of the table that the labels are from.

    Args:
        options: of the command.
        settings: of the run.
        images: that are measured.
        model: with its stored images.
        columns: of a table of other images.

    Returns:
        None where no groups are known.

    Raises:
        FileNotFoundError: if the table that is asked for is not there.
        ValueError: if what is asked for is not there, or does not fit.
    """
    stored = None if model.bank is None else model.bank.sources
    named = {} if options.group_column is None else {"group": options.group_column}
    if options.groups is not None:
        return read_all_groups(options.groups, images.sources, stored, named, model.class_names)
    roles = {**(settings.columns if options.data is None else columns), **named}
    table = find_own_table(settings, options.data, roles)
    if table is None:
        if named:
            raise ValueError("group-column is for a table of groups; name it with --groups.")
        return None
    try:
        found = read_all_groups(table, images.sources, stored, roles, model.class_names)
    except ValueError as error:
        if named:
            raise
        print_note(f"The answers are not measured by group: {error}")
        return None
    return found if named or len(set(found.measured)) > 1 else None


def write_tables(overview: Overview, files: Sequence[Path], run: Path) -> list[str]:
    """Write suspicious labels as a table to be filled in, if there are any; names the file."""
    if not overview.suspicious:
        return []
    write_audit(files[1], overview.suspicious, overview.nearest, overview.class_names, run)
    return [str(files[1])]


def explain_hard(
    model: Classifier, sample: Sample, hard: tuple[Hard, ...], *, seed: int, batch_size: int
) -> tuple[Answer, ...]:
    """Explain the hard cases, with attribution and random memories."""
    if not hard:
        return ()
    chosen = sample.images.take([one.place for one in hard])
    sources = chosen.sources or [None] * len(hard)
    return explain_images(
        model,
        chosen.images,
        [name_test(one.place, source) for one, source in zip(hard, sources, strict=True)],
        [one.truth for one in hard],
        draws=DRAWS,
        seed=seed,
        options={"steps": STEPS},
        batch_size=batch_size,
    )


def add_originals(
    answers: Sequence[Answer],
    hard: Sequence[Hard],
    images: ImageSet,
    folder: Path,
    options: Namespace,
    model: Classifier,
    *,
    columns: Mapping[str, str],
) -> tuple[Answer, ...]:
    """Put the originals of hard cases beside what the model saw of them."""
    settings, where = read_settings(folder), read_where(options)
    if options.data is not None and options.data not in DATASETS:
        where = AS_SETTINGS_SAY  # a folder of other images is where it is
    originals = read_originals(
        images,
        [one.place for one in hard],
        options.data or settings.data,
        where,
        model,
        known=settings.data_root,
        columns=settings.columns if options.data is None else columns,
    )
    return tuple(
        replace(answer, original=original)
        for answer, original in zip(answers, originals, strict=True)
    )


def name_test(place: int, source: str | None) -> str:
    """Say which test image it is, and its file where it has one."""
    return f"test image {place}" + (f", {source}" if source else "")


def describe_settings(
    model: Classifier, sample: Sample, seed: int, *, explained: int
) -> list[tuple[str, str]]:
    """Name what the report itself was made with."""
    found = [
        ("test images", f"{len(sample.images):,} of {sample.name}"),
        ("hash of the test images", fingerprint(sample.images)),
    ]
    if model.has_memory:
        found.append(("random memories", f"seed {seed}"))
    if explained and not lacks_pixels(model):
        found.append(("attribution", f"integrated gradients, {STEPS} steps from white"))
    return found


def describe(overview: Overview) -> str:
    """Say in a line what the page shows."""
    found = overview.evaluation
    line = f"{percent(found.whole_memory)} of {count(found.images, 'test image')} right"
    if overview.suspicious is not None:
        line += f", {count(len(overview.suspicious), 'suspicious label')}"
    return f"{line}, {count(len(overview.hard), 'hard case')} explained"
