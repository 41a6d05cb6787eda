"""Another domain by another memory: images of it are stored, nothing is trained again.

Claim: none beforehand; it reports what comes out. Votes on frozen features are trained on one
domain. Then their memory is swapped for, or grows by, 10 or 100 images of the other domain, and
images of that one are answered. Domains: the digits of scikit-learn and MNIST at 8 x 8 pixels, or
cells of two kinds, which a column of the table of labels names.

    python -m benchmarks.other_domain digits --mnist ROOT --weights FILE --features FOLDER
    python -m benchmarks.other_domain cells --table CSV --weights FILE --features FOLDER

Cells: also the two kinds as groups. Votes on both, before and after the memory is balanced over
class and kind. Every finished seed is a line of JSON for each row in ``--cells``.
"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.frozen_features import train_votes
from benchmarks.kept_cells import print_row, read_cells, state_difference
from benchmarks.simple_heads import Problem
from whence.data.load import load_dataset
from whence.encoders import OUTPUT
from whence.evidence.design_memory import design_memory
from whence.models.classifier import Classifier
from whence.records.images import Dataset, ImageSet
from whence.runs.image_groups import read_groups
from whence.runs.kept_features import encode_once
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.seeds import make_generator

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "other_domain.jsonl"
"""The cells that are published."""

COUNTS = (0, 10, 100)
"""Stored images of the other domain."""

SIZES = (40, 100, 400)
"""Stored images of memories that are balanced over class and kind."""


def main() -> None:
    """Fill in the seeds that are missing, then print the tables of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("domains", choices=("digits", "cells"))
    parser.add_argument("--mnist", help="root of MNIST")
    parser.add_argument("--table", help="of the cells")
    parser.add_argument("--column", default="type")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--encoder", default="timm:tf_efficientnet_lite0")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cells", type=Path, default=CELLS)
    parser.add_argument("--features", type=Path, required=True, help="folder of kept features")
    options = parser.parse_args()
    domains = read_digits(options) if options.domains == "digits" else read_kinds(options)
    encoded = encode_all_domains(domains, options)
    for seed in range(options.seeds):
        for source, target in (list(domains), list(domains)[::-1]):
            here = {"from": source, "to": target, "seed": seed}
            if any(here.items() <= one.items() for one in read_cells(options.cells)):
                continue
            rows = swap(domains, encoded, source, target, seed, options)
            keep_rows(options, here, rows)
        here = {"kinds": options.domains, "seed": seed}
        if options.domains == "cells" and not any(
            here.items() <= one.items() for one in read_cells(options.cells)
        ):
            keep_rows(options, here, balance(domains, encoded, seed, options))
    print_tables(read_cells(options.cells))


def keep_rows(
    options: argparse.Namespace, here: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Write the rows of a finished seed, and say them."""
    shared = {"encoder": options.encoder, "pixels": options.size, "torch": torch.__version__}
    with options.cells.open("a") as file:
        file.writelines(json.dumps({**here, **row, **shared}) + "\n" for row in rows)
    print(here, *rows, flush=True)


def read_digits(options: argparse.Namespace) -> dict[str, Dataset]:
    """Read the digits of scikit-learn and some of MNIST, both at 8 x 8 pixels, enlarged alike."""
    digits = load_dataset("digits", root=options.mnist, download=False)
    mnist = load_dataset("mnist", root=options.mnist, download=False)
    generator = make_generator(0)
    found = {"digits": digits, "mnist at 8 x 8": mnist}
    for name, one in found.items():
        parts = []
        for images, count in ((one.train, 1300), (one.test, 1000)):
            places = torch.randperm(len(images), generator=generator)[:count]
            pixels = F.adaptive_avg_pool2d(images.images[places].float(), 8)
            large = (
                F.interpolate(pixels, size=options.size, mode="bilinear").round().to(torch.uint8)
            )
            large = large.expand(-1, 3, -1, -1).contiguous()
            parts.append(ImageSet(large, images.labels[places], images.class_names))
        found[name] = Dataset(name, *parts)
    return found


def read_kinds(options: argparse.Namespace) -> dict[str, Dataset]:
    """Read the cells, divided by kind."""
    whole = load_dataset(options.table, size=options.size, channels=3)
    found = {}
    for part in (whole.train, whole.test):
        kinds = read_groups(options.table, part.sources, {"group": options.column})
        for kind in sorted(set(kinds)):
            places = torch.tensor([place for place, one in enumerate(kinds) if one == kind])
            found.setdefault(kind, []).append(part.take(places))
    return {kind: Dataset(kind, *parts) for kind, parts in found.items()}


def encode_all_domains(
    domains: dict[str, Dataset], options: argparse.Namespace
) -> dict[str, tuple[Tensor, Tensor]]:
    """Encode training and test images of every domain."""
    first = next(iter(domains.values()))
    model = prepare(choose_settings(first.train, 0, options), first).model.eval()
    return {
        name: (
            encode_once(model, one.train, options.features),
            encode_once(model, one.test, options.features),
        )
        for name, one in domains.items()
    }


def choose_settings(train: ImageSet, seed: int, options: argparse.Namespace) -> Settings:
    """Choose what a training is made of: 500 images at most, 150 to validate."""
    return Settings(
        data="other_domain",
        encoder=options.encoder,
        weights=options.weights,
        freeze_encoder=True,
        layers=OUTPUT,
        train_examples=min(500, len(train) - 150),
        validation_examples=150,
        seed=seed,
    )


def learn(
    dataset: Dataset, train: Tensor, test: Tensor, seed: int, options: argparse.Namespace
) -> tuple[Classifier, Problem]:
    """Train votes on some images of a dataset whose features are known."""
    settings = choose_settings(dataset.train, seed, options)
    parts = prepare(settings, dataset)
    problem = Problem(dataset, parts, train[parts.indices], train[parts.validation_indices], test)
    return train_votes(problem, settings), problem


def swap(
    domains: dict[str, Dataset],
    encoded: dict[str, tuple[Tensor, Tensor]],
    source: str,
    target: str,
    seed: int,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Train on one domain, and answer the other with more and more stored images of it."""
    model, problem = learn(domains[source], *encoded[source], seed, options)
    other, (features, asked) = domains[target], encoded[target]
    ours, rows = problem.parts.train, []
    order = draw_balanced(other.train.labels, max(COUNTS), seed)
    for count in COUNTS:
        some = order[:count]
        for grows in (False, True) if count else (False,):
            images, labels = other.train.images[some], other.train.labels[some]
            known = features[some]
            if grows or not count:
                images = torch.cat([ours.images, images])
                labels = torch.cat([ours.labels, labels])
                known = torch.cat([problem.train, known])
            model.remember(images, labels, features=known)
            accuracy = measure_accuracy(model, asked, other.test.labels)
            rows.append({"stored": count, "beside": grows, "accuracy": accuracy})
    model.remember(ours.images, ours.labels, features=problem.train)
    own = measure_accuracy(model, encoded[source][1], domains[source].test.labels)
    there, _ = learn(other, features, asked, seed, options)
    trained = measure_accuracy(there, asked, other.test.labels)
    return [{**row, "own": own, "trained_there": trained} for row in rows]


def draw_balanced(labels: Tensor, count: int, seed: int) -> Tensor:
    """Draw places such that the first n hold as many of each class as can be."""
    mixed = torch.randperm(len(labels), generator=make_generator(seed))
    rank = torch.zeros(len(labels), dtype=torch.int64)
    for one in labels.unique().tolist():
        mine = mixed[labels[mixed] == one]
        rank[mine] = torch.arange(len(mine))
    return mixed[rank[mixed].argsort(stable=True)][:count]


def measure_accuracy(model: Classifier, features: Tensor, labels: Tensor) -> float:
    """Measure the right answers to images with features `(N, D)`."""
    return float((answer_all(model, features) == labels).double().mean())


def answer_all(model: Classifier, features: Tensor) -> Tensor:
    """Answer for features `(N, D)` of the encoder."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(head.embed(features), bank.features, labels=bank.labels)
    return logits.argmax(1)


def balance(
    domains: dict[str, Dataset],
    encoded: dict[str, tuple[Tensor, Tensor]],
    seed: int,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Train on both kinds, and measure each before and after the memory is balanced over them."""
    parts = {part: [getattr(one, part) for one in domains.values()] for part in ("train", "test")}
    joined = Dataset("cells", *(join_sets(parts[part]) for part in ("train", "test")))
    train, test = (torch.cat([one[place] for one in encoded.values()]) for place in (0, 1))
    kinds = {
        part: torch.cat([torch.full((len(one),), k) for k, one in enumerate(sets)])
        for part, sets in parts.items()
    }
    model, problem = learn(joined, train, test, seed, options)
    groups = kinds["train"][problem.parts.indices]
    models = {"whole": model}
    for size in SIZES:
        models[f"herding {size}"] = design_memory(model, size, by="herding", seed=seed)
        models[f"balanced over kinds {size}"] = design_memory(
            model, size, by="herding", groups=groups, seed=seed
        )
    rows = []
    for way, one in models.items():
        hits = (answer_all(one, test) == joined.test.labels).double()
        by_kind = {name: float(hits[kinds["test"] == k].mean()) for k, name in enumerate(domains)}
        stored = groups[one.checked_bank().indices] if way != "whole" else groups
        rows.append(
            {
                "way": way,
                **by_kind,
                "worst": min(by_kind.values()),
                "accuracy": float(hits.mean()),
                "stored": {name: int((stored == k).sum()) for k, name in enumerate(domains)},
            }
        )
    return rows


def join_sets(sets: list[ImageSet]) -> ImageSet:
    """Put images of the same classes together."""
    return ImageSet(
        torch.cat([one.images for one in sets]),
        torch.cat([one.labels for one in sets]),
        sets[0].class_names,
    )


def print_tables(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and differences paired by seed."""
    swaps, ways = defaultdict(list), defaultdict(list)
    for one in cells:
        if "way" in one:
            ways[one["way"]].append(one)
        else:
            swaps[one["from"], one["to"], one["stored"], one["beside"]].append(one)
    print_row(
        *("from", "to", "stored of it", "beside its own", "seeds", "accuracy", "points more"),
        *("95 %", "trained there", "where it was trained"),
    )
    print_row(*["---"] * 10)
    for (source, target, count, beside), rows in swaps.items():
        before = {one["seed"]: one["accuracy"] for one in swaps[source, target, 0, False]}
        gains = [100 * (row["accuracy"] - before[row["seed"]]) for row in rows]
        means = [
            f"{100 * statistics.fmean(row[name] for row in rows):.2f}"
            for name in ("accuracy", "trained_there", "own")
        ]
        more = state_difference(gains)
        told = ("yes" if beside else "no") if count else ""
        print_row(source, target, str(count), told, more[0], means[0], *more[1:], *means[1:])
    print()
    kinds = list(next(iter(ways.values()))[0]["stored"]) if ways else []
    print_row("memory", "seeds", *kinds, "worst", "all", "worst: points more", "95 %")
    print_row(*["---"] * (6 + len(kinds)))
    for way, rows in ways.items():
        before = {one["seed"]: one["worst"] for one in ways["whole"]}
        gains = [100 * (row["worst"] - before[row["seed"]]) for row in rows]
        means = [
            f"{100 * statistics.fmean(row[name] for row in rows):.2f}"
            for name in (*kinds, "worst", "accuracy")
        ]
        print_row(way, str(len(rows)), *means, *state_difference(gains)[1:])


if __name__ == "__main__":
    main()
