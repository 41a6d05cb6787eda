"""Smaller memories of votes on frozen features: which stored images to keep.

Claim: 100 of 1,000 stored images, well chosen, answer as accurately as all of them to a point, and
more accurately than 100 that were drawn by chance.

    python -m benchmarks.memory_selection DATA --encoder NAME --weights FILE --images 1000 --seeds 5

Selections see the training images and the validation images; the test images are measured once for
each. Every finished seed is a line of JSON for each size and selection in ``--cells``. At the end
all that are there are summed up: means over the seeds, and, paired by seed with a 95 % interval
(Student's t), what each selection has more than the whole memory and than chance.
"""

import json
import statistics
import time
from argparse import Namespace
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.frozen_features import build_parser, choose_counts, read_problem, train_votes
from benchmarks.kept_cells import print_row, read_cells, state_difference
from benchmarks.simple_heads import Problem, encode
from whence.evidence.design_memory import order_memory
from whence.evidence.edit import with_bank
from whence.evidence.trace_sizes import measure_memory
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.runs.settings import Settings
from whence.selections import SELECTIONS
from whence.training.labelled import Labelled

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "memory_selection.jsonl"
"""The cells that are published."""

SHARES = ("accuracy", "balanced_accuracy", "explanation_accuracy", "purity")


def main() -> None:
    """Fill in the seeds that are missing, then print the tables of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--memories", type=int, nargs="+", default=[10, 20, 50, 100, 200, 500])
    options = parser.parse_args()
    settings, dataset = read_problem(options, **choose_counts(options.images))
    for seed in range(options.seeds):
        fill(replace(settings, seed=seed), dataset, options)
    print_tables(read_cells(options.cells))


def fill(settings: Settings, dataset: Dataset, options: Namespace) -> None:
    """Measure the memories of one seed unless they are there."""
    here = {
        "images": options.name,
        "train_examples": settings.train_examples,
        "seed": settings.seed,
    }
    if any(here.items() <= one.items() for one in read_cells(options.cells)):
        return
    problem = encode(settings, dataset, options.features)
    rows = measure(train_votes(problem, settings), problem, options.memories, settings.seed)
    shared = {
        "encoder": settings.encoder,
        "pixels": settings.size,
        "fingerprint": problem.parts.identity["train_fingerprint"],
        "torch": torch.__version__,
    }
    with options.cells.open("a") as file:
        file.writelines(json.dumps({**here, **row, **shared}) + "\n" for row in rows)
    print(f"{here}: {len(rows)} memories", flush=True)


def measure(
    model: Classifier, problem: Problem, sizes: list[int], seed: int
) -> list[dict[str, Any]]:
    """Measure the whole memory, and every selection at every size."""
    bank, parts = model.checked_bank(), problem.parts
    with torch.no_grad():
        held = Labelled(model.head.embed(problem.validation), parts.validation.labels)
        asked = Labelled(model.head.embed(problem.test), parts.test.labels)
    rows = [{**asdict(measure_memory(model, asked, selection="all")), "seconds": 0.0}]
    for name in SELECTIONS:
        started = time.process_time()
        order = order_memory(model, max(sizes), by=name, validation=held, seed=seed)
        seconds = time.process_time() - started
        for size in sizes:
            smaller = with_bank(model, bank.take(order[:size].sort().values), bank)
            found = measure_memory(smaller, asked, selection=name)
            rows.append({**asdict(found), "seconds": seconds})
    return rows


def print_tables(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, then paired differences of accuracy."""
    groups = defaultdict(list)
    for one in cells:
        groups[one["images"], one["train_examples"], one["selection"], one["size"]].append(one)
    print_row("images", "stored", "selection", "kept", "seeds", *SHARES, "seconds")
    print_row(*["---"] * (6 + len(SHARES)))
    for (images, stored, name, size), rows in groups.items():
        shares = [f"{100 * statistics.fmean(row[field] for row in rows):.2f}" for field in SHARES]
        seconds = statistics.fmean(row["seconds"] for row in rows)
        print_row(images, str(stored), name, str(size), str(len(rows)), *shares, f"{seconds:.2f}")
    print()
    print_row(
        "images", "stored", "selection", "kept", "seeds", "less all", "95 %", "less chance", "95 %"
    )
    print_row(*["---"] * 9)
    for (images, stored, name, size), rows in groups.items():
        if name in ("all", "random"):
            continue
        against_all, against_chance = (
            subtract(rows, groups[images, stored, other, other_size])
            for other, other_size in (("all", stored), ("random", size))
        )
        print_row(
            images,
            str(stored),
            name,
            str(size),
            *state_difference(against_all),
            *state_difference(against_chance)[1:],
        )


def subtract(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[float]:
    """Pair rows by seed; the differences of accuracy in points."""
    known = {one["seed"]: one["accuracy"] for one in others}
    return [100 * (row["accuracy"] - known[row["seed"]]) for row in rows if row["seed"] in known]


if __name__ == "__main__":
    main()
