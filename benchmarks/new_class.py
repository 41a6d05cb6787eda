"""A class that was never trained, as stored images alone, against training again.

Claim: with 20 stored images of it, votes answer a class that they were not trained for within 10
points as often rightly as after a training with the same images, and lose at most one point on the
classes that they know.

    python -m benchmarks.new_class DATA --encoder NAME --weights FILE --images 500 --seeds 5

Each seed leaves two classes out, one after the other. Every finished class is a line of JSON for
each number of stored images in ``--cells``; at the end all that are there are summed up.
"""

import json
import statistics
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.frozen_features import build_parser, choose_counts, read_problem
from benchmarks.kept_cells import print_row, read_cells
from benchmarks.simple_heads import Problem, encode
from whence.evidence.edit import edit
from whence.models.classifier import Classifier
from whence.records.images import Dataset, ImageSet
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.training.fit import fit

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "new_class.jsonl"
"""The cells that are published."""

COUNTS = (1, 5, 20)
"""Stored images of the new class."""


def main() -> None:
    """Fill in the seeds that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, required=True)
    options = parser.parse_args()
    settings, dataset = read_problem(options, **choose_counts(options.images))
    for seed in range(options.seeds):
        chosen = replace(settings, seed=seed)
        problem = None
        for new in (2 * seed % 10, (2 * seed + 1) % 10):
            here = {
                "images": options.name,
                "train_examples": options.images,
                "seed": seed,
                "class": new,
            }
            if any(here.items() <= one.items() for one in read_cells(options.cells)):
                continue
            problem = problem or encode(chosen, dataset, options.features)
            rows = measure(problem, chosen, dataset, new)
            with options.cells.open("a") as file:
                file.writelines(json.dumps({**here, **row}) + "\n" for row in rows)
            print(f"{here}: {rows[-1]}", flush=True)
    print_table(read_cells(options.cells))


def measure(
    problem: Problem, settings: Settings, dataset: Dataset, new: int
) -> list[dict[str, Any]]:
    """Train votes without a class, give them stored images of it, and train again with these."""
    labels = problem.parts.train.labels
    old, ours = labels != new, (labels == new).nonzero().squeeze(1)
    names = list(problem.parts.train.class_names)
    order = [one for one in range(len(names)) if one != new] + [new]
    rows = []
    without = train(problem, settings, old.nonzero().squeeze(1), order[:-1])
    known = count_right(without, problem, order)[0]
    for count in COUNTS:
        some = ours[:count]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grown = edit(
                without,
                add=ImageSet(problem.parts.train.images[some], labels[some], tuple(names)),
                new_classes=[names[new]],
            )
        again = train(problem, settings, torch.cat([old.nonzero().squeeze(1), some]), order)
        (old_grown, new_grown), (old_again, new_again) = (
            count_right(one, problem, order) for one in (grown, again)
        )
        rows.append(
            {
                "stored": count,
                "old_before": known,
                "old": old_grown,
                "new": new_grown,
                "old_again": old_again,
                "new_again": new_again,
                "encoder": settings.encoder,
                "torch": torch.__version__,
            }
        )
    return rows


def train(problem: Problem, settings: Settings, places: Tensor, order: list[int]) -> Classifier:
    """Train votes by the defaults on some training images, for the classes of ``order``."""
    names = tuple(problem.parts.train.class_names[one] for one in order)
    dataset = replace(
        problem.dataset,
        **{part: keep_classes(getattr(problem.dataset, part), order) for part in ("train", "test")},
    )
    parts, ours = prepare(replace(settings, validation_examples=0), dataset), problem.parts
    model = parts.model
    chosen = renumber(ours.train.take(places), order, names)
    held = torch.isin(ours.validation.labels, torch.tensor(order)).nonzero().squeeze(1)
    fit(
        model,
        chosen,
        recipe=parts.recipe,
        plan=parts.plan,
        features=problem.train[places],
        validation=renumber(ours.validation.take(held), order, names),
        validation_features=problem.validation[held],
    )
    return model.remember(chosen.images, chosen.labels, features=problem.train[places]).eval()


def keep_classes(images: ImageSet, order: list[int]) -> ImageSet:
    """Keep the images of some classes, numbered in their order."""
    places = torch.isin(images.labels, torch.tensor(order)).nonzero().squeeze(1)
    names = tuple(images.class_names[one] for one in order)
    return renumber(images.take(places), order, names)


def renumber(images: ImageSet, order: list[int], names: tuple[str, ...]) -> ImageSet:
    """Number the classes of images in another order."""
    table = torch.full((len(images.class_names),), -1)
    table[torch.tensor(order)] = torch.arange(len(order))
    return ImageSet(images.images, table[images.labels], names, images.sources)


def count_right(model: Classifier, problem: Problem, order: list[int]) -> tuple[float, float]:
    """Return the share of right answers on the test images of the old classes, and of the new."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(head.embed(problem.test), bank.features, labels=bank.labels)
    truth = problem.parts.test.labels
    hits = torch.tensor(order)[logits.argmax(1)] == truth
    new = truth == order[-1]
    return float(hits[~new].double().mean()), float(hits[new].double().mean())


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print means over seeds and classes."""
    groups = defaultdict(list)
    for one in cells:
        groups[one["images"], one["train_examples"], one["stored"]].append(one)
    fields = ("new", "new_again", "old_before", "old", "old_again")
    header = ("images", "number", "stored of the new class", "seeds x classes")
    header += ("new class", "trained again", "old classes before", "after", "trained again")
    print_row(*header)
    print_row(*["---"] * len(header))
    for (images, number, stored), rows in groups.items():
        shares = [f"{100 * statistics.fmean(row[field] for row in rows):.2f}" for field in fields]
        print_row(images, str(number), str(stored), str(len(rows)), *shares)


if __name__ == "__main__":
    main()
