"""What some measures of faithfulness and controls need beside a model and images."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.attribution.randomised import randomise
from whence.attribution.refills import find_refill
from whence.cli.faithful_choices import choose_measures
from whence.cli.options import read_where
from whence.gather.faithful import UNTRAINED, FaithfulnessBench, make_bench
from whence.gather.in_domain import (
    learn_hidden_patches,
    measure_patches,
    read_in_domain,
    write_in_domain,
)
from whence.messages import count
from whence.metrics.faithfulness_measure import find_measure
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.report.numbers import percent
from whence.runs.finished import read_settings
from whence.runs.load_parts import load_training
from whence.runs.untrained import build_untrained, find_memory
from whence.seeds import make_generator

IN_DOMAIN = "in-domain"
HINT_UNTRAINED = "add --no-untrained to leave this control out."


def complete_bench(
    bench: FaithfulnessBench,
    images: ImageSet,
    options: Namespace,
    folder: Path,
    about: dict[str, Any],
    out: Path,
    missing: Sequence[tuple[str, str]],
    tested: ImageSet,
) -> tuple[FaithfulnessBench, list[str]]:
    """Add what some measures and controls need: copies of the model, and the one before training.

    Args:
        bench: model and images.
        images: the same, with their labels.
        options: of the command.
        folder: of the run.
        about: what its ``whence.json`` says.
        out: the folder of the table.
        missing: methods and measures of cells that are still to be filled.
        tested: test images on which a copy is to be as right as the model.

    Returns:
        The bench, and sentences for the reader.
    """
    notes: list[str] = []
    model, where = bench.model, read_where(options)
    if any("explain" in find_measure(measure).needs for _, measure in missing):
        copies = randomise(model, seed=options.seed, batch_size=options.batch_size)
        bench = replace(bench, randomised=tuple(copies))
    if any(method == UNTRAINED for method, _ in missing):
        settings = read_settings(folder)
        memory = images
        if model.has_memory:
            memory = find_memory(model, folder, about, where=where)
        start = build_untrained(
            model,
            memory,
            settings,
            about["run"],
            download=where.may_download,
            hint=HINT_UNTRAINED,
        )
        if model.has_memory:
            start.remember(memory.images, memory.labels, batch_size=options.batch_size)
        bench = replace(bench, untrained=start)
    if "idsds" in choose_measures(options):
        learner, accuracies = find_in_domain(bench, tested, options, folder, about, out)
        black = find_refill("black", model.image_shape, make_generator(options.seed))
        inner = make_bench(
            learner, images.images, black, seed=options.seed, batch_size=options.batch_size
        )
        bench = replace(bench, in_domain=replace(inner, classes=bench.classes))
        own, learned = accuracies["model"], accuracies["copy"]
        notes.append(
            "For idsds a copy has learned with hidden patches: it answers "
            f"{percent(learned['whole'])} of {count(len(tested), 'test image')} right, "
            f"{percent(learned['hidden'])} with a hidden patch; the model itself "
            f"{percent(own['whole'])} and {percent(own['hidden'])}."
        )
    return bench, notes


def find_in_domain(
    bench: FaithfulnessBench,
    tested: ImageSet,
    options: Namespace,
    folder: Path,
    about: dict[str, Any],
    out: Path,
) -> tuple[Classifier, dict[str, Any]]:
    """Read the copy that has learned with hidden patches, or train it."""
    device = str(bench.model.mean.device)
    known = read_in_domain(out / IN_DOMAIN, device)
    if known is not None:
        return known
    train, _ = load_training(folder, about, where=read_where(options))
    seed, size = options.seed, options.batch_size
    learner = learn_hidden_patches(
        bench.model,
        train,
        seed=seed,
        batch_size=size,
        memory_size=about["run"]["plan"]["memory_size"],
    )
    accuracies = {
        name: asdict(measure_patches(one, tested, seed=seed, batch_size=size))
        for name, one in (("model", bench.model), ("copy", learner))
    }
    write_in_domain(learner, out / IN_DOMAIN, accuracies)
    return learner, accuracies
