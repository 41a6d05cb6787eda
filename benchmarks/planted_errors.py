"""Wrong labels planted in 1,000 training images: how many of them ``find_suspicious`` finds.

Claim: none beforehand; it reports what comes out. 5 % of the labels are changed to another class
drawn at random, a small CNN with Memory Wrap is trained on them, and the labels are ranked by what
its bank says. n = 3 seeds a row.

    python -m benchmarks.planted_errors --cifar10 FOLDER --fashion-mnist ROOT --seeds 3

FOLDER is an image folder (train/CLASS/*, test/CLASS/*), ROOT holds FashionMNIST/raw. The vote's
temperature and the score that is listed were chosen on seeds 0 and 1 of FashionMNIST and
seed 0 of CIFAR-10; the default starts at seed 2.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from whence.evidence.suspicious import find_suspicious
from whence.memory.cosine import cosine
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.published import PUBLISHED
from whence.runs.settings import Settings
from whence.runs.where import may_download_to
from whence.training.fit import fit

PART = 20
"""One label in so many is changed."""

NEIGHBOURS = 20
PRINTED = ("average precision", "precision at 50", "listed", "precision", "recall")


class Ranking(NamedTuple):
    """A score per image, higher is more suspicious, and which images are on the list."""

    scores: Tensor  # (N,)
    listed: Tensor  # (N,) bool


def main() -> None:
    """Train, rank and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--fashion-mnist", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=2)
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 40])
    options = parser.parse_args()
    started, lines = time.monotonic(), []
    for problem, settings in choose_problems(options.cifar10, options.fashion_mnist).items():
        dataset = load_data(settings, may_download_to(settings.data_root))
        for epochs in options.epochs:
            found: dict[str, list[tuple[float, ...]]] = {}
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                model, wrong = train(replace(settings, seed=seed, epochs=epochs), dataset)
                for name, rank in RANKINGS.items():
                    found.setdefault(name, []).append(measure(rank(model), wrong))
                print(
                    f"{time.monotonic() - started:6.0f} s  {problem}, {epochs} epochs", flush=True
                )
            lines += [[problem, str(epochs), name, *spread(rows)] for name, rows in found.items()]
    header = ["images", "epochs", "ranking", *PRINTED]
    for line in (header, ["---"] * len(header), *lines):
        print("| " + " | ".join(line) + " |")


def choose_problems(cifar10: Path | None, fashion_mnist: Path | None) -> dict[str, Settings]:
    """Name the settings of the sets of images that were given."""
    shared = Settings(
        data="", encoder="small_cnn", train_examples=1000, recipe="paper", variant="memory-wrap"
    )
    problems = {}
    if fashion_mnist is not None:
        problems["FashionMNIST"] = replace(
            shared, data="fashion_mnist", data_root=str(fashion_mnist)
        )
    if cifar10 is not None:
        mean, std = PUBLISHED["cifar10"].mean, PUBLISHED["cifar10"].std
        problems["CIFAR-10 JPEG"] = replace(
            shared, data=str(cifar10), augmentation="flip", mean=mean, std=std
        )
    return problems


def train(settings: Settings, dataset: Dataset) -> tuple[Classifier, Tensor]:
    """Train on images of which some labels are wrong.

    Returns:
        The model, with all its training images as the bank, and `(N,)` bool, the planted errors.
    """
    parts = prepare(settings, dataset)
    labels, classes = parts.train.labels.clone(), len(parts.train.class_names)
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(len(labels), generator=generator)[: len(labels) // PART]
    steps = torch.randint(1, classes, (len(chosen),), generator=generator)
    labels[chosen] = (labels[chosen] + steps) % classes
    fit(parts.model, replace(parts.train, labels=labels), recipe=parts.recipe, plan=parts.plan)
    parts.model.remember(parts.train.images, labels)
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    wrong[chosen] = True
    return parts.model, wrong


def rank_by_votes(model: Classifier) -> Ranking:
    """Rank by the library's score."""
    scores = torch.zeros(len(model.checked_bank()))
    for one in find_suspicious(model, least=0):
        scores[one.index] = one.score
    return Ranking(scores, mark(model, [one.index for one in find_suspicious(model)]))


def rank_by_answer(model: Classifier) -> Ranking:
    """Rank by the model's own probability of another class, each image left out."""
    scores, every = torch.zeros(len(model.checked_bank())), find_suspicious(model, least=0)
    for one in every:
        scores[one.index] = 1 - one.probability
    return Ranking(scores, mark(model, [i.index for i in every if i.predicted != i.label]))


def rank_by_evidence(model: Classifier) -> Ranking:
    """Rank by the weight of the evidence on images of other labels."""
    scores = torch.zeros(len(model.checked_bank()))
    for one in find_suspicious(model, least=0):
        scores[one.index] = 1 - one.evidence_mass
    return Ranking(scores, scores > 0.5)


def rank_by_both(model: Classifier) -> Ranking:
    """Rank by the mean of the two before."""
    scores = (rank_by_answer(model).scores + rank_by_evidence(model).scores) / 2
    return Ranking(scores, scores > 0.5)


def rank_by_neighbours(model: Classifier) -> Ranking:
    """Rank by the labels of the nearest other images."""
    bank = model.checked_bank()
    similarities = cosine(bank.features, bank.features).fill_diagonal_(-torch.inf)
    nearest = bank.labels[similarities.topk(NEIGHBOURS).indices]  # (N, 20)
    scores = (nearest != bank.labels[:, None]).double().mean(1)
    return Ranking(scores, nearest.mode(1).values != bank.labels)


RANKINGS: dict[str, Callable[[Classifier], Ranking]] = {
    "find_suspicious": rank_by_votes,
    "own answer": rank_by_answer,
    "own evidence": rank_by_evidence,
    "answer and evidence": rank_by_both,
    f"{NEIGHBOURS} nearest": rank_by_neighbours,
}


def mark(model: Classifier, places: list[int]) -> Tensor:
    """Turn places into truth values `(N,)`."""
    marked = torch.zeros(len(model.checked_bank()), dtype=torch.bool)
    marked[places] = True
    return marked


def measure(ranking: Ranking, wrong: Tensor) -> tuple[float, ...]:
    """Compute the columns that are printed; precision is NaN for an empty list."""
    order = ranking.scores.argsort(descending=True, stable=True)
    hits = wrong[order].double()
    precisions = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    found = wrong & ranking.listed
    return (
        float((precisions * hits).sum() / hits.sum()),
        float(precisions[int(wrong.sum()) - 1]),
        float(ranking.listed.sum()),
        float(found.sum() / ranking.listed.sum()),
        float(found.sum() / wrong.sum()),
    )


def spread(rows: list[tuple[float, ...]]) -> list[str]:
    """Format means over the seeds, the first with its population deviation.

    The precision of a list is that of the seeds' lists that are not empty.
    """
    columns = [
        [value for value in column if not math.isnan(value)] for column in zip(*rows, strict=True)
    ]
    average, at_50, listed, *rest = [statistics.fmean(c) if c else None for c in columns]
    shares = ["-" if value is None else f"{value:.2f}" for value in (at_50, *rest)]
    first = f"{average:.2f} ± {statistics.pstdev(columns[0]):.2f}"
    return [first, shares[0], f"{listed:.0f}", *shares[1:]]


if __name__ == "__main__":
    main()
