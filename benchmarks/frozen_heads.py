"""Heads on the features of a frozen encoder: is an answer that is its evidence less accurate?

Claim: votes are as accurate as the best of a linear probe, a network of one hidden layer and
Memory Wrap, chosen for every seed on the validation images, while every right answer changes once
the stored images of its class are gone.

    python -m benchmarks.frozen_heads DATA --encoder NAME --weights FILE --images 100 500 --seeds 20

Every finished cell is a line of JSON in ``--cells``, so that tables grow from call to call. At the
end all that are there are summed up: means over the seeds, and what votes have more than the rival
of the best validation accuracy, paired by seed, with a 95 % interval (Student's t). ``--layers
output`` takes the features of the encoder's output alone, in place of those of the depths that the
training images choose.
"""

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.frozen_features import (
    build_parser,
    choose_counts,
    encode_chosen,
    read_problem,
)
from benchmarks.kept_cells import print_row, read_cells, state_difference
from benchmarks.simple_heads import (
    EPOCHS,
    Problem,
    judge,
    neighbours,
    network,
    probe,
)
from whence.encoders import OUTPUT
from whence.evidence.calibrate import calibrate
from whence.evidence.evaluate import evaluate
from whence.evidence.removal import LIMIT, find_removals
from whence.memory.votes import Votes
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.runs.prepare import prepare
from whence.runs.settings import BEST_LAYERS, Settings
from whence.seeds import make_generator
from whence.training.fit import fit
from whence.training.voting import SHARPNESSES

Place = tuple[str, int, str]
PLACE = ("images", "number", "depths")
"""What cells have in common that are compared: images, how many, and which features."""

RIVALS = ("linear", "mlp", "memory-wrap")
SHARES = ("accuracy", "balanced", "changed", "permuted", "shown")
MEASURES = (
    *("accuracy", "balanced", "nll", "changed", "permuted", "shown", "removal"),
    *("voters", "purity", "auroc", "seconds"),
)
VOTERS = (2, 3, 5, 10, 15, 30, 60)
"""Voters at which the curve of accuracies is read."""

ASKED = 40
"""Right answers whose smallest removal is searched for."""


CELLS = Path(__file__).parents[1] / "docs" / "cells" / "frozen_heads.jsonl"
"""The cells that are published."""


def main() -> None:
    """Fill in the cells that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, nargs="+", required=True)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    options = parser.parse_args()
    settings, dataset = read_problem(options)
    for seed in range(options.seeds):
        for images in options.images:
            chosen = replace(
                settings,
                seed=seed,
                **choose_counts(images),
            )
            fill(chosen, dataset, options)
    print_table(read_cells(options.cells))


def fill(settings: Settings, dataset: Dataset, options: Namespace) -> None:
    """Measure the heads of one seed and number of images that have no file yet."""
    here = {
        "images": options.name,
        "train_examples": settings.train_examples,
        "depths": options.layers,
        "seed": settings.seed,
    }
    known = [one for one in read_cells(options.cells) if here.items() <= one.items()]
    missing = [head for head in options.heads if head not in {one["head"] for one in known}]
    if not missing:
        return
    named, problem = encode_chosen(settings, dataset, options.features)
    for head in missing:
        started = time.process_time()
        found = HEADS[head](problem, named)
        content = {
            **here,
            "head": head,
            **found,
            "seconds": time.process_time() - started,
            "encoder": settings.encoder,
            "size": settings.size,
            "layers": named.layers,
            "fingerprint": problem.parts.identity["train_fingerprint"],
            "torch": torch.__version__,
        }
        with options.cells.open("a") as file:
            file.write(json.dumps(content) + "\n")
        print(f"{here} {head}: {found['accuracy']:.2%}", flush=True)


def whole_model(variant: str) -> Callable[[Problem, Settings], dict[str, Any]]:
    """Make what trains a head of the library, by its defaults, and measures it."""

    def measure(problem: Problem, settings: Settings) -> dict[str, Any]:
        chosen = replace(settings, variant=variant)
        if variant != "votes":
            chosen = replace(chosen, epochs=EPOCHS, batch_size=64)
        parts = prepare(chosen, problem.dataset)
        model, ours = parts.model, problem.parts
        fit(
            model,
            ours.train,
            recipe=parts.recipe,
            plan=parts.plan,
            features=problem.train,
            validation=ours.validation,
            validation_features=problem.validation,
        )
        model.remember(ours.train.images, ours.train.labels, features=problem.train)
        with torch.no_grad():
            asked, held = model.head.embed(problem.test), model.head.embed(problem.validation)
        known = evaluate(model, ours.validation, memory_size=1, draws=1, features=held)
        model.calibration = calibrate(model, ours.validation, features=held)
        found = evaluate(model, ours.test, memory_size=1, draws=1, features=asked)
        aurocs = {name: quality.auroc for name, quality in found.signals.items()}
        return {
            "validation": known.whole_memory,
            **judge(answer_features(model, asked), ours.test.labels),
            "changed": None if found.reliance is None else found.reliance.changed_share,
            "voters": None if found.evidence is None else found.evidence.support_size_median,
            "purity": None if found.evidence is None else found.evidence.purity,
            "auroc": aurocs.get("error_probability"),
            "aurocs": aurocs,
            "shown": hide_shown(model, problem, asked),
            "removal": find_smallest(model, problem, asked),
            "curve": follow_voters(model, problem),
            "permuted": permute(model, problem, asked),
        }

    return measure


def answer_features(model: Classifier, features: Tensor) -> Tensor:
    """Answer for features with the bank; log probabilities `(N, K)`."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(
            features, bank.features, labels=bank.labels, scale=bank.scale(head.similarity)
        )
    return logits.log_softmax(1)


def follow_voters(model: Classifier, problem: Problem) -> list[tuple[float, float]] | None:
    """Read the same keys with other sharpnesses: voters in the median answer, and accuracy.

    None for heads that have no sharpness.
    """
    head, labels = model.head, problem.parts.train.labels
    if not isinstance(head, Votes):
        return None
    curve, chosen = [], float(head.sharpness)
    for sharpness in SHARPNESSES:
        head.sharpness.fill_(sharpness)
        with torch.no_grad():
            memory, asked = head.embed(problem.train), head.embed(problem.test)
            read = head(asked, memory, labels=labels)
        hits = read.logits.argmax(1) == problem.parts.test.labels
        voters = float((read.weights > 0).sum(1).double().median())
        curve.append((voters, float(hits.double().mean())))
    head.sharpness.fill_(chosen)
    return curve


def hide_shown(model: Classifier, problem: Problem, asked: Tensor) -> float:
    """Measure which share of the right answers changes without the images that have a weight."""
    bank, head, labels = model.checked_bank(), model.memory_head, problem.parts.test.labels
    changed = right = 0
    with torch.no_grad():
        for some, truth in zip(asked.split(500), labels.split(500), strict=True):
            read = head(some, bank.features, labels=bank.labels, scale=bank.scale(head.similarity))
            others = read.weights == 0
            keep = others.any(1) & (read.logits.argmax(1) == truth)
            again = head.logits(some[keep], bank.features, others[keep], labels=bank.labels)
            changed += int((again.argmax(1) != truth[keep]).sum())
            right += int(keep.sum())
    return changed / right


def find_smallest(model: Classifier, problem: Problem, asked: Tensor) -> float | None:
    """Find how many stored images must go, in the median, until a right answer is another one.

    Answers that no removal of ``LIMIT`` images changes count as one more than that; None where
    they are half of all.
    """
    labels = problem.parts.test.labels
    right = (answer_features(model, asked).argmax(1) == labels).nonzero()[:ASKED, 0]
    found = find_removals(model, problem.parts.test.images[right])
    sizes = [len(one.smallest or one.removed) or LIMIT + 1 for one in found]
    median = statistics.median(sizes)
    return None if median > LIMIT else median


def permute(model: Classifier, problem: Problem, asked: Tensor) -> float:
    """Measure the accuracy once the labels of the stored images are shuffled."""
    train = problem.parts.train
    labels = train.labels[torch.randperm(len(train.labels), generator=make_generator(0))]
    model.remember(train.images, labels, features=problem.train)
    hits = answer_features(model, asked).argmax(1) == problem.parts.test.labels
    return float(hits.double().mean())


HEADS: Mapping[str, Callable[[Problem, Settings], dict[str, Any]]] = {
    "linear": probe,
    "mlp": network,
    "neighbours": neighbours,
    "memory-wrap": whole_model("memory-wrap"),
    "votes": whole_model("votes"),
}


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print the means of all cells, and what votes have more than the best rival."""
    problems: dict[Place, list[dict[str, Any]]] = {}
    for one in cells:
        place = (one["images"], one["train_examples"], one["depths"])
        problems.setdefault(place, []).append(one)
    print_row(*PLACE, "head", "seeds", *MEASURES)
    print_row(*["---"] * (5 + len(MEASURES)))
    for place, mine in sorted(problems.items()):
        for head in HEADS:
            rows = [one for one in mine if one["head"] == head]
            if rows:
                numbers = (mean_of(rows, measure) for measure in MEASURES)
                print_row(*map(str, place), head, str(len(rows)), *numbers)
    print()
    heads = ("votes less the rival chosen, points", "95 %", "the same, balanced accuracy", "95 %")
    print_row(*PLACE, "seeds", *heads)
    print_row(*["---"] * 8)
    for place, mine in sorted(problems.items()):
        both = (*compare(mine, "accuracy"), *compare(mine, "balanced")[1:])
        print_row(*map(str, place), *both)
    print()
    print_gains(problems)
    print()
    print_curves(problems)


def print_gains(problems: Mapping[Place, list[dict[str, Any]]]) -> None:
    """Print what each head has more on layers that were chosen than on the output, paired."""
    print_row("images", "number", "head", "seeds", "more than on the output", "95 %")
    print_row(*["---"] * 6)
    for (name, count, depths), mine in sorted(problems.items()):
        plain = problems.get((name, count, OUTPUT), [])
        for head in HEADS if depths == BEST_LAYERS else ():
            before = {one["seed"]: one["accuracy"] for one in plain if one["head"] == head}
            gains = [
                100 * (one["accuracy"] - before[one["seed"]])
                for one in mine
                if one["head"] == head and one["seed"] in before
            ]
            if gains:
                print_row(name, str(count), head, *state_difference(gains))


def print_curves(problems: Mapping[Place, list[dict[str, Any]]]) -> None:
    """Print the accuracy of votes by how many stored images vote on the median answer.

    Every seed's curve is read between its own points; a place outside some curve stays empty.
    """
    print_row(*PLACE, "seeds", *(f"{one} voters" for one in VOTERS))
    print_row(*["---"] * (4 + len(VOTERS)))
    for place, mine in sorted(problems.items()):
        curves = [sorted(one["curve"]) for one in mine if one.get("curve")]
        if not curves:
            continue
        columns = []
        for voters in VOTERS:
            inside = all(curve[0][0] <= voters <= curve[-1][0] for curve in curves)
            found = [np.interp(voters, *zip(*curve, strict=True)) for curve in curves]
            columns.append(f"{100 * np.mean(found):.2f}" if inside else "")
        print_row(*map(str, place), str(len(curves)), *columns)


def mean_of(rows: list[dict[str, Any]], name: str) -> str:
    """Average a number over the cells that have it."""
    known = [one[name] for one in rows if one.get(name) is not None]
    if not known:
        return ""
    mean = statistics.fmean(known)
    return f"{100 * mean:.2f}" if name in SHARES else f"{mean:.3g}"


def compare(cells: list[dict[str, Any]], measure: str) -> list[str]:
    """Compare a measure of votes with that of the rival of the best validation accuracy, paired."""
    seeds = {one["seed"]: one[measure] for one in cells if one["head"] == "votes"}
    differences = []
    for seed, ours in seeds.items():
        rivals = [one for one in cells if one["seed"] == seed and one["head"] in RIVALS]
        if rivals:
            best = max(rivals, key=lambda one: (one["validation"], one["head"]))
            differences.append(100 * (ours - best[measure]))
    return state_difference(differences)


if __name__ == "__main__":
    main()
