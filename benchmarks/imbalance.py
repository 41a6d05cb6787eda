"""Classes of unequal size on the features of a frozen encoder: what each ``--balance`` brings.

Claim: with 20 to 200 training images a class, balanced votes find more of the rare classes, and the
balanced accuracy rises; what the accuracy of an unequal test set loses stands beside it.

    python -m benchmarks.imbalance DATA --encoder NAME --weights FILE --counts 200 180 ... 20

``--counts`` draws so many training images of each class, and a fifth as many to validate on;
``--images`` takes the classes as they are. Every finished cell is a line of JSON in ``--cells``. At
the end all that are there are summed up: means over the seeds, and the difference of the balanced
accuracy from no balance, paired by seed, with a 95 % interval (Student's t).
"""

import json
import math
import statistics
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from benchmarks.frozen_features import build_parser, read_problem
from benchmarks.frozen_heads import answer_features
from benchmarks.kept_cells import print_row, read_cells
from benchmarks.simple_heads import EPOCHS
from whence.evidence.evaluate import evaluate
from whence.records.images import Dataset
from whence.runs.kept_features import encode_once
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.seeds import make_generator
from whence.training.fit import fit
from whence.training.plan import BALANCES

SHARES = ("accuracy", "balanced", "worst")
CELLS = Path(__file__).parents[1] / "docs" / "cells" / "imbalance.jsonl"
"""The cells that are published."""


def main() -> None:
    """Fill in the cells that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--counts", type=int, nargs="+", help="training images of each class")
    group.add_argument("--images", type=int, help="training images, classes as they are")
    parser.add_argument("--heads", nargs="+", default=["votes", "memory-wrap"])
    options = parser.parse_args()
    settings, dataset = read_problem(options)
    model = prepare(replace(settings, train_examples=500), dataset).model.eval()
    features, asked = (
        encode_once(model, one, options.features) for one in (dataset.train, dataset.test)
    )
    for seed, head, balance in list_cells(options):
        places, chosen = choose(dataset, options, replace(settings, seed=seed))
        found = measure(
            replace(chosen, variant=head, balance=balance),
            replace(dataset, train=dataset.train.take(places)),
            features[places],
            asked,
        )
        cell = {"images": options.name, "seed": seed, "head": head, "balance": balance, **found}
        with options.cells.open("a") as file:
            file.write(json.dumps(cell | {"torch": torch.__version__}) + "\n")
        print(cell, flush=True)
    print_tables(read_cells(options.cells))


def list_cells(options: Namespace) -> Iterator[tuple[int, str, str]]:
    """List seed, head and balance of the cells that are missing."""
    known = {
        (one["seed"], one["head"], one["balance"])
        for one in read_cells(options.cells)
        if one["images"] == options.name
    }
    for seed in range(options.seeds):
        for head in options.heads:
            for balance in BALANCES:
                if (seed, head, balance) not in known:
                    yield seed, head, balance


def choose(dataset: Dataset, options: Namespace, settings: Settings) -> tuple[Tensor, Settings]:
    """Draw the images of a seed, to train and to validate on; their places, and settings."""
    if options.counts is None:
        return torch.arange(len(dataset.train)), replace(
            settings,
            train_examples=options.images,
            validation_examples=max(150, options.images // 5),
        )
    generator, parts = make_generator(settings.seed), []
    for place, count in enumerate(options.counts):
        own = (dataset.train.labels == place).nonzero().squeeze(1)
        order = torch.randperm(len(own), generator=generator)
        parts.append(own[order[: count + count // 5]])
    places = torch.cat(parts)
    return places, replace(settings, validation_examples=len(places) - sum(options.counts))


def measure(
    settings: Settings, dataset: Dataset, features: Tensor, asked: Tensor
) -> dict[str, Any]:
    """Train a head and measure it on the test images.

    Args:
        settings: with head, balance and seed.
        dataset: to divide.
        features: `(N, D)` of its training images.
        asked: `(T, D)` of its test images.
    """
    if settings.head != "votes":
        settings = replace(settings, epochs=EPOCHS, batch_size=64)
    parts = prepare(settings, dataset)
    model, train = parts.model, features[parts.indices]
    fit(
        model,
        parts.train,
        recipe=parts.recipe,
        plan=parts.plan,
        features=train,
        validation=parts.validation,
        validation_features=features[parts.validation_indices],
    )
    model.remember(parts.train.images, parts.train.labels, features=train)
    with torch.no_grad():
        queries = model.head.embed(asked)
    found = evaluate(model, parts.test, memory_size=1, draws=1, features=queries)
    worst = found.worst_class
    return {
        "train_counts": parts.train.labels.bincount().tolist(),
        "accuracy": found.whole_memory,
        "balanced": found.balanced_accuracy,
        "worst": None if worst is None else worst.recall,
        "nll": float(
            torch.nn.functional.nll_loss(answer_features(model, queries), parts.test.labels)
        ),
        "voters": None if found.evidence is None else found.evidence.support_size_median,
    }


def print_tables(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and differences from no balance."""
    print_row(
        "images", "head", "balance", "seeds", "accuracy", "balanced", "worst recall", "gain", "95 %"
    )
    print_row(*["---"] * 9)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in cells:
        groups.setdefault((one["images"], one["head"]), []).append(one)
    for (name, head), mine in groups.items():
        plain = {one["seed"]: one for one in mine if one["balance"] == "none"}
        for balance in BALANCES:
            rows = [one for one in mine if one["balance"] == balance]
            if rows:
                means = (
                    f"{100 * statistics.fmean(one[key] for one in rows):.2f}" for key in SHARES
                )
                print_row(name, head, balance, str(len(rows)), *means, *compare(rows, plain))


def compare(rows: list[dict[str, Any]], plain: dict[int, dict[str, Any]]) -> list[str]:
    """Compare balanced accuracies seed by seed; in points, with their interval."""
    return compare_pairs(
        [
            100 * (one["balanced"] - plain[one["seed"]]["balanced"])
            for one in rows
            if one["seed"] in plain and one["balance"] != "none"
        ]
    )


def compare_pairs(differences: list[float]) -> list[str]:
    """Write the mean of paired differences, and its 95 % interval; "" for fewer than two."""
    if len(differences) < 2:
        return ["", ""]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return [f"{mean:+.2f}", f"{mean - half:+.2f} to {mean + half:+.2f}"]


if __name__ == "__main__":
    main()
