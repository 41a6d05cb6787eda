"""Bias that was planted, and what the memory can do about it without training the encoder.

Claim: with digits whose colour mostly tells their class, a memory balanced over colours does little
for digits of another colour, because the keys were learned from the bias; keys learned again from
the balanced memory, in seconds and with nothing encoded again, do.

    python -m benchmarks.planted_bias MNIST_ROOT --weights FILE --features FOLDER --seeds 5

Each of ten classes has a colour; a share of the training images has another one. The worst group is
the class with the fewest right answers among the images of other colours. Every finished seed is a
line of JSON for each way in ``--cells``; at the end all that are there are summed up.
"""

import argparse
import copy
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.kept_cells import print_row, read_cells, state_difference
from whence.data.load import load_dataset
from whence.encoders import OUTPUT
from whence.evidence.design_memory import design_memory
from whence.models.classifier import Classifier
from whence.records.images import Dataset, ImageSet
from whence.runs.kept_features import encode_once
from whence.runs.prepare import Parts, prepare
from whence.runs.settings import Settings
from whence.seeds import make_generator
from whence.training.fit import fit

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "planted_bias.jsonl"
"""The cells that are published."""

COLOURS = (
    *((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48)),
    *((145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 190)),
)
"""Red, green and blue of each class's colour."""

WAYS = {
    "whole": "all stored images",
    "balanced": "memory balanced over class and colour",
    "learned again": "keys learned again from the balanced memory",
    "weighed": "keys learned again, each class and colour counting alike",
}


class Coloured(NamedTuple):
    """Digits in colour, and which of them have another colour than their class's."""

    images: ImageSet
    conflicting: Tensor  # (N,) bool


def main() -> None:
    """Fill in the seeds that are missing, then print the table of all."""
    print_tables(fill_cells(__doc__, CELLS, measure))


Measure = Callable[[Dataset, float, int, argparse.Namespace], list[dict[str, Any]]]
"""Takes the digits, the share of other colours, the seed and the options to rows of a table."""


def fill_cells(description: str, cells: Path, measure: Measure) -> list[dict[str, Any]]:
    """Read the options, measure what is missing on coloured digits, and return all that is there.

    Args:
        description: of the benchmark.
        cells: that are published.
        measure: gives the rows of a share and a seed.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("root", help="of MNIST")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--encoder", default="timm:tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.05])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cells", type=Path, default=cells)
    parser.add_argument("--features", type=Path, required=True, help="folder of kept features")
    options = parser.parse_args()
    digits = load_dataset("mnist", root=options.root, download=False)
    for seed in range(options.seeds):
        for share in options.shares:
            here = {"share": share, "seed": seed, "train_examples": options.images}
            if any(here.items() <= one.items() for one in read_cells(options.cells)):
                continue
            rows = measure(digits, share, seed, options)
            with options.cells.open("a") as file:
                file.writelines(json.dumps({**here, **row}) + "\n" for row in rows)
            print(here, *(f"{row['way']} {row['conflicting']:.1%}" for row in rows), flush=True)
    return read_cells(options.cells)


def colour(images: ImageSet, count: int, share: float, size: int, generator: Any) -> Coloured:
    """Draw digits, make them white on black, and give each a colour.

    Args:
        images: of MNIST, black on white.
        count: how many are drawn.
        share: of them whose colour is that of another class.
        size: side of the images that come out.
        generator: of what is drawn.
    """
    places = torch.randperm(len(images), generator=generator)[:count]
    labels = images.labels[places]
    conflicting = torch.rand(count, generator=generator) < share
    other = (labels + torch.randint(1, 10, (count,), generator=generator)) % 10
    tints = torch.tensor(COLOURS)[torch.where(conflicting, other, labels)] / 255
    strokes = interpolate(255.0 - images.images[places], size=size, mode="bilinear")
    pixels = (strokes * tints[:, :, None, None]).round().to(torch.uint8)
    return Coloured(ImageSet(pixels, labels, images.class_names), conflicting)


class ColouredProblem(NamedTuple):
    """Coloured digits, divided and encoded."""

    known: Coloured  # to train and to validate on
    asked: Coloured  # to test
    parts: Parts
    train: Tensor  # (N, D)
    held: Tensor  # (V, D)
    test: Tensor  # (T, D)
    conflicting: Tensor  # (N,) bool, of the training images


def encode_coloured(
    digits: Dataset, share: float, seed: int, options: argparse.Namespace
) -> ColouredProblem:
    """Colour digits, divide them by the seed, and encode them by a frozen network."""
    generator = make_generator(seed)
    known = colour(digits.train, options.images + 400, share, options.size, generator)
    asked = colour(digits.test, 2000, 0.5, options.size, generator)
    settings = Settings(
        data="coloured",
        encoder=options.encoder,
        weights=options.weights,
        freeze_encoder=True,
        layers=OUTPUT,
        train_examples=options.images,
        validation_examples=400,
        seed=seed,
    )
    parts = prepare(settings, Dataset("coloured", known.images, asked.images))
    model = parts.model.eval()
    features, test = (
        encode_once(model, one, options.features) for one in (known.images, asked.images)
    )
    train, held = features[parts.indices], features[parts.validation_indices]
    return ColouredProblem(known, asked, parts, train, held, test, known.conflicting[parts.indices])


def measure(
    digits: Dataset, share: float, seed: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Train votes on coloured digits, and measure each way."""
    problem = encode_coloured(digits, share, seed, options)
    parts, train, conflicting = problem.parts, problem.train, problem.conflicting
    model, held, test, asked = parts.model, problem.held, problem.test, problem.asked
    groups = conflicting.long()
    pairs = parts.train.labels * 2 + groups
    alike = 1 / pairs.bincount(minlength=20)[pairs].float()

    def learn(places: Tensor, counts: Tensor | None) -> Classifier:
        learner = copy.deepcopy(model)
        some = parts.train.take(places)
        fit(
            learner,
            some,
            recipe=parts.recipe,
            plan=replace(parts.plan, memory_size=min(len(some), parts.plan.memory_size)),
            features=train[places],
            validation=parts.validation,
            validation_features=held,
            counts=counts,
        )
        return learner.remember(some.images, some.labels, features=train[places]).eval()

    started = time.process_time()
    whole = learn(torch.arange(len(train)), None)
    seconds = time.process_time() - started
    size = max(2 * int(conflicting.sum()), len(pairs.unique()))
    smaller = design_memory(whole, size, by="balanced", groups=groups, seed=seed)
    kept = smaller.checked_bank().indices
    models = {
        "whole": whole,
        "balanced": smaller,
        "learned again": learn(kept, None),
        "weighed": learn(torch.arange(len(train)), alike),
    }
    return [
        {
            "way": way,
            **judge(one, test, asked),
            "stored": len(one.checked_bank()),
            "conflicting_stored": int(conflicting.sum()),
            "seconds": seconds,
            "encoder": options.encoder,
            "pixels": options.size,
            "torch": torch.__version__,
        }
        for way, one in models.items()
    ]


def judge(model: Classifier, features: Tensor, asked: Coloured) -> dict[str, float]:
    """Measure the right answers of each group."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(head.embed(features), bank.features, labels=bank.labels)
    labels = asked.images.labels
    hits = (logits.argmax(1) == labels).double()
    other = asked.conflicting
    return {
        "aligned": float(hits[~other].mean()),
        "conflicting": float(hits[other].mean()),
        "worst": min(float(hits[other & (labels == one)].mean()) for one in range(10)),
    }


def print_tables(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and what each way has more than the whole memory."""
    groups = defaultdict(list)
    for one in cells:
        groups[one["share"], one["way"]].append(one)
    print_row("share of another colour", "way", "seeds", *FIELDS.values(), *["", ""])
    print_row(*["---"] * (5 + len(FIELDS)))
    for (share, way), rows in groups.items():
        before = {one["seed"]: one["worst"] for one in groups[share, "whole"]}
        gains = [100 * (row["worst"] - before[row["seed"]]) for row in rows]
        means = [statistics.fmean(row[field] for row in rows) for field in FIELDS]
        shown = [f"{100 * one:.1f}" for one in means[:3]] + [f"{one:.0f}" for one in means[3:]]
        print_row(f"{share:.1%}", WAYS[way], str(len(rows)), *shown, *state_difference(gains)[1:])


FIELDS = {
    "aligned": "own colour",
    "conflicting": "another colour",
    "worst": "worst class of another colour",
    "stored": "stored",
}


if __name__ == "__main__":
    main()
