"""Few labels and many images: pseudo-labels below a probability of error, against confidence.

Claim: none beforehand; it reports what comes out. Votes on frozen features are trained on the
labelled images and calibrated on the validation images. Of the unlabelled images those are taken up
with the class that the model answers whose probability of an error is at most ``--limit``: the
calibrated one, or one less the softmax confidence; then votes are trained again on all. "As many"
takes as many as the calibrated probability does, those of highest confidence.

    python -m benchmarks.pseudo_labels DATA --encoder NAME --weights FILE --images 500 --seeds 5

Every finished seed is a line of JSON for each way in ``--cells``; at the end all are summed up.
"""

import json
import statistics
from argparse import Namespace
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.frozen_features import build_parser, choose_counts, read_problem, train_votes
from benchmarks.kept_cells import print_row, read_cells, state_difference
from benchmarks.simple_heads import Problem, encode
from whence.evidence.calibrate import calibrate
from whence.evidence.out_of_fold import Encoded, answer_out_of_fold
from whence.evidence.pseudo_labels import PseudoLabels, choose_pseudo_labels, judge_unlabelled
from whence.models.classifier import Classifier
from whence.records.images import Dataset, ImageSet
from whence.runs.prepare import prepare
from whence.runs.settings import Settings

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "pseudo_labels.jsonl"
"""The cells that are published."""

WAYS = {
    "none": "labelled images alone",
    "calibrated": "calibrated probability of error",
    "confidence": "softmax confidence",
    "as many": "as many by confidence",
}


def main() -> None:
    """Fill in the seeds that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--unlabelled", type=int, default=5000)
    parser.add_argument("--limit", type=float, default=0.1)
    options = parser.parse_args()
    settings, dataset = read_problem(options, **choose_counts(options.images))
    for seed in range(options.seeds):
        here = {"images": options.name, "train_examples": options.images, "seed": seed}
        here |= {"limit": options.limit, "unlabelled": options.unlabelled}
        if any(here.items() <= one.items() for one in read_cells(options.cells)):
            continue
        rows = measure(replace(settings, seed=seed), dataset, options)
        shared = {"encoder": settings.encoder, "pixels": settings.size, "torch": torch.__version__}
        with options.cells.open("a") as file:
            file.writelines(json.dumps({**here, **row, **shared}) + "\n" for row in rows)
        print(here, *(f"{row['way']} {row['accuracy']:.2%}" for row in rows), flush=True)
    print_table(read_cells(options.cells))


def measure(settings: Settings, dataset: Dataset, options: Namespace) -> list[dict[str, Any]]:
    """Train on the labelled images, take up others in each way, and train again."""
    problem = encode(settings, dataset, options.features)
    with_all = encode(
        replace(settings, train_examples=None, validation_examples=0), dataset, options.features
    )
    used = torch.cat([problem.parts.indices, problem.parts.validation_indices])
    rest = (~torch.isin(with_all.parts.indices, used)).nonzero().squeeze(1)[: options.unlabelled]
    features, truth = with_all.train[rest], with_all.parts.train.labels[rest]
    images = with_all.parts.train.images[rest]
    first = train_votes(problem, settings)
    with torch.no_grad():
        held = first.head.embed(problem.validation)
    parts, ours = prepare(settings, dataset), problem.parts
    more = answer_out_of_fold(
        first,
        Encoded(ours.train, problem.train),
        Encoded(ours.validation, problem.validation),
        recipe=parts.recipe,
        plan=parts.plan,
    )
    first.calibration = calibrate(first, ours.validation, features=held, more=more)
    with torch.no_grad():
        judged = judge_unlabelled(first, first.head.embed(features))
    chosen = {
        "calibrated": choose_pseudo_labels(judged, options.limit),
        "confidence": choose_pseudo_labels(judged, options.limit, by="confidence"),
    }
    order = judged.confidences.argsort(descending=True, stable=True)
    most = order[: len(chosen["calibrated"].places)].sort().values
    chosen["as many"] = take(judged, most)
    rows = [describe("none", first, problem, truth, PseudoLabels(*empty()))]
    for way, labels in chosen.items():
        again = train_with(problem, settings, labels, features, images)
        rows.append(describe(way, again, problem, truth, labels))
    return rows


def empty() -> tuple[Tensor, Tensor, Tensor]:
    """Take up nothing."""
    return torch.empty(0).long(), torch.empty(0).long(), torch.empty(0)


def take(judged: Any, places: Tensor) -> PseudoLabels:
    """Take up the images at some places."""
    return PseudoLabels(places, judged.predicted[places], 1 - judged.confidences[places])


def train_with(
    problem: Problem, settings: Settings, found: PseudoLabels, features: Tensor, images: Tensor
) -> Classifier:
    """Train votes on the labelled images and those that are taken up."""
    ours = problem.parts.train
    train = ImageSet(
        torch.cat([ours.images, images[found.places]]),
        torch.cat([ours.labels, found.labels]),
        ours.class_names,
    )
    larger = problem._replace(
        parts=replace(problem.parts, train=train),
        train=torch.cat([problem.train, features[found.places]]),
    )
    return train_votes(larger, settings)


def describe(
    way: str, model: Classifier, problem: Problem, truth: Tensor, found: PseudoLabels
) -> dict[str, Any]:
    """Measure a way on the test images, and its pseudo-labels against the true ones."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(head.embed(problem.test), bank.features, labels=bank.labels)
    hits = logits.argmax(1) == problem.parts.test.labels
    right = found.labels == truth[found.places]
    return {
        "way": way,
        "accuracy": float(hits.double().mean()),
        "taken": len(found.places),
        "wrong": float((~right).double().mean()) if len(right) else 0.0,
        "expected_wrong": float(found.errors.double().mean()) if len(right) else 0.0,
    }


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and differences paired by seed."""
    groups = defaultdict(list)
    for one in cells:
        groups[one["images"], one["limit"], one["way"]].append(one)
    print_row(
        *("images", "limit", "taken up by", "seeds", "accuracy", "taken", "wrong among them"),
        *("expected", "less labelled alone", "95 %", "less confidence", "95 %"),
    )
    print_row(*["---"] * 12)
    for (images, limit, way), rows in groups.items():
        means = {
            name: statistics.fmean(row[name] for row in rows)
            for name in ("accuracy", "taken", "wrong", "expected_wrong")
        }
        differences = []
        for other in ("none", "confidence"):
            known = {one["seed"]: one["accuracy"] for one in groups[images, limit, other]}
            differences += state_difference(
                [100 * (row["accuracy"] - known[row["seed"]]) for row in rows]
            )[1:]
        print_row(
            *(images, f"{limit:.2f}", WAYS[way], str(len(rows)), f"{100 * means['accuracy']:.2f}"),
            *(f"{means['taken']:,.0f}", f"{means['wrong']:.1%}", f"{means['expected_wrong']:.1%}"),
            *differences,
        )


if __name__ == "__main__":
    main()
