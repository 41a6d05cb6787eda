"""Wrong labels planted among features of a frozen encoder: our suspicious list beside cleanlab's.

Claim: at the number planted, ``find_suspicious`` is more precise than cleanlab's ranking by the
out-of-fold probabilities of a logistic regression on the same features (Northcutt et al. 2021,
arXiv:1911.00068), whose penalty the likelihood out of fold chooses. 5 % of the labels are changed
to another class drawn at random. The rankings:

- ``suspicious``: our list, which looks at these features alone, whatever was trained on them;
- ``cleanlab``: its label quality scores, by self-confidence, which is its default.

    python -m pip install cleanlab
    python -m benchmarks.label_errors DATA --name NAME --encoder NAME --weights FILE --images 500

cleanlab is needed here alone. Every finished cell is a line of JSON in ``--cells``; at the end all
that are there are summed up: means over the seeds, and the difference from cleanlab, paired by
seed, with a 95 % interval (Student's t).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from benchmarks.frozen_features import build_parser, read_problem
from benchmarks.imbalance import compare_pairs
from benchmarks.kept_cells import print_row, read_cells
from benchmarks.simple_heads import PENALTIES
from whence.data.stratify import stratified
from whence.evidence.suspicious import find_suspicious
from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.records.images import ImageSet
from whence.runs.kept_features import encode_once
from whence.runs.prepare import prepare
from whence.seeds import make_generator

PART, FOLDS = 20, 5
"""One label in so many is changed; parts that the images are divided in."""

RANKINGS = ("suspicious", "cleanlab")
CELLS = Path(__file__).parents[1] / "docs" / "cells" / "label_errors.jsonl"
"""The cells that are published."""


class Planted(NamedTuple):
    """Images with some wrong labels."""

    images: ImageSet  # N, with the labels as planted
    features: Tensor  # (N, D)
    wrong: Tensor  # (N,) bool
    folds: list[tuple[Tensor, Tensor]]  # places of the others, and of the fold


def main() -> None:
    """Fill in the cells that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, required=True)
    options = parser.parse_args()
    settings, dataset = read_problem(options, variant="votes")
    parts = prepare(replace(settings, train_examples=500), dataset)
    features = encode_once(parts.model.eval(), dataset.train, options.features)
    known = {one["seed"] for one in read_cells(options.cells) if one["images"] == options.name}
    for seed in (one for one in range(options.seeds) if one not in known):
        planted = plant(dataset.train, features, options.images, seed)
        scores = {
            "suspicious": rank_suspicious(planted, parts.model),
            "cleanlab": rank_by_cleanlab(planted),
        }
        cell = {
            "images": options.name,
            "train_examples": options.images,
            "seed": seed,
            **{name: measure_precision(score, planted.wrong) for name, score in scores.items()},
        }
        with options.cells.open("a") as file:
            file.write(json.dumps(cell | {"torch": torch.__version__}) + "\n")
        print(cell, flush=True)
    print_table(read_cells(options.cells))


def plant(images: ImageSet, features: Tensor, count: int, seed: int) -> Planted:
    """Draw images of every class, and give one in twenty another label."""
    generator = make_generator(seed)
    places = stratified(images.labels, count, generator=generator)
    labels, classes = images.labels[places].clone(), len(images.class_names)
    wrong = torch.zeros(count, dtype=torch.bool)
    wrong[torch.randperm(count, generator=generator)[: count // PART]] = True
    others = torch.randint(1, classes, (count,), generator=generator)
    labels[wrong] = (labels[wrong] + others[wrong]) % classes
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels)
    return Planted(
        replace(images.take(places), labels=labels),
        features[places],
        wrong,
        [(torch.from_numpy(rest), torch.from_numpy(part)) for rest, part in folds],
    )


def measure_precision(scores: Tensor, wrong: Tensor) -> float:
    """Measure which share of the highest scores `(N,)` is wrong, as many as are planted."""
    first = scores.argsort(descending=True, stable=True)[: int(wrong.sum())]
    return float(wrong[first].double().mean())


def rank_suspicious(planted: Planted, model: Classifier) -> Tensor:
    """Score by the list of a model that stores the features as they are."""
    plain = wrap(
        model.encoder,
        planted.images.class_names,
        image_shape=model.image_shape,
        drop_classifier=False,
    ).eval()
    plain.remember(planted.images.images, planted.images.labels, features=planted.features)
    scores = torch.zeros(len(planted.features))
    for one in find_suspicious(plain, least=0):
        scores[one.index] = one.score
    return scores


def rank_by_cleanlab(planted: Planted) -> Tensor:
    """Score by cleanlab, from out-of-fold probabilities of the likeliest logistic regression."""
    mean, deviation = planted.features.mean(0), planted.features.std(0) + 1e-3
    features, labels = (
        ((planted.features - mean) / deviation).numpy(),
        planted.images.labels.numpy(),
    )
    best: tuple[float, Any] = (np.inf, None)
    for penalty in PENALTIES:
        shares = np.zeros((len(labels), len(planted.images.class_names)))
        for rest, part in planted.folds:
            fitted = LogisticRegression(C=penalty, max_iter=300).fit(features[rest], labels[rest])
            shares[part] = fitted.predict_proba(features[part])
        loss = -np.log(shares[np.arange(len(labels)), labels] + 1e-12).mean()
        best = min(best, (loss, shares), key=lambda one: one[0])
    return -torch.from_numpy(get_label_quality_scores(labels, best[1])).float()


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and differences from cleanlab."""
    print_row(
        "images", "ranking", "seeds", "precision at the number planted", "less cleanlab", "95 %"
    )
    print_row(*["---"] * 6)
    for name in dict.fromkeys(one["images"] for one in cells):
        mine = [one for one in cells if one["images"] == name]
        for ranking in RANKINGS:
            mean = 100 * float(np.mean([one[ranking] for one in mine]))
            pairs = [100 * (one[ranking] - one["cleanlab"]) for one in mine]
            told = ["", ""] if ranking == "cleanlab" else compare_pairs(pairs)
            print_row(name, ranking, str(len(mine)), f"{mean:.1f}", *told)


if __name__ == "__main__":
    main()
