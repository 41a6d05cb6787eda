"""A planted bias mended without training: directions of the groups are taken out of comparisons.

Claim: votes that compare keys and features without the directions in which stored images of one
class differ by their colour answer digits of another colour more than 10 points more often rightly.

    python -m benchmarks.erased_groups MNIST_ROOT --weights FILE --features FOLDER --seeds 5

Images and votes are those of ``benchmarks.planted_bias``. Effects of class and colour are fitted to
the stored images by least squares (a ridge of 1); what the effects of colour span is taken off, as
linear erasure does (Belrose et al. 2023, arXiv:2306.03819, for a single attribute). No gradient,
nothing encoded again. Every finished seed is a line of JSON for each way in ``--cells``.
"""

import argparse
import copy
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.kept_cells import print_row, state_difference
from benchmarks.planted_bias import COLOURS, Coloured, encode_coloured, fill_cells
from whence.evidence.design_memory import design_memory
from whence.memory.cosine import to_unit_length
from whence.memory.sparsemax import sparsemax
from whence.records.images import Dataset
from whence.training.fit import fit

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "erased_groups.jsonl"
"""The cells that are published."""

RIDGE = 1.0

WAYS = {
    "whole": "all stored images",
    "balanced": "memory balanced over class and colour",
    "keys": "the same, without directions of colour in the keys",
    "both": "the same, without them in keys and features, which count alike",
    "features": "all stored images, features alone without them, each class and colour alike",
}


def main() -> None:
    """Fill in the seeds that are missing, then print the table of all."""
    print_table(fill_cells(__doc__, CELLS, measure))


def measure(
    digits: Dataset, share: float, seed: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Train votes on coloured digits, and compare in each way."""
    problem = encode_coloured(digits, share, seed, options)
    known, asked, parts = problem.known, problem.asked, problem.parts
    train, held, test = problem.train, problem.held, problem.test
    learner = copy.deepcopy(parts.model)
    fit(
        learner,
        parts.train,
        recipe=parts.recipe,
        plan=parts.plan,
        features=train,
        validation=parts.validation,
        validation_features=held,
    )
    labels = parts.train.labels
    learner.remember(parts.train.images, labels, features=train).eval()
    tints, conflicting = read_tints(known)[parts.indices], problem.conflicting
    pairs = labels * 2 + conflicting
    size = max(2 * int(conflicting.sum()), len(pairs.unique()))
    few = design_memory(learner, size, by="balanced", groups=conflicting.long(), seed=seed)
    kept = few.checked_bank().indices
    head = learner.memory_head
    sharpness = float(head.sharpness)
    with torch.no_grad():
        keys, asked_keys = head.embed(train), head.embed(test)
        plain = keys @ asked_keys.T  # (M, N), scaled by the sharpness
        by_keys = compare_without(keys, asked_keys, labels, tints)
        by_features = compare_without(head.level(train), head.level(test), labels, tints)
        alike = -pairs.bincount(minlength=20).float().log()
        scores = {
            "whole": sparsemax(plain.T),
            "balanced": sparsemax(plain[kept].T),
            "keys": sparsemax(sharpness * by_keys[kept].T),
            "both": sparsemax(sharpness * (by_keys + by_features)[kept].T / 2),
            "features": (10 * by_features.T + alike[pairs]).softmax(1),
        }
    stored = {"whole": labels, "features": labels}
    return [
        {
            "way": way,
            **judge_weights(weights, stored.get(way, labels[kept]), asked),
            "stored": weights.shape[1],
            "encoder": options.encoder,
            "pixels": options.size,
            "torch": torch.__version__,
        }
        for way, weights in scores.items()
    ]


def read_tints(images: Coloured) -> Tensor:
    """Read the number `(N,)` of each image's colour from its brightest pixels."""
    brightest = to_unit_length(images.images.images.float().amax((2, 3)))
    return (brightest @ to_unit_length(torch.tensor(COLOURS).float()).T).argmax(1)


def compare_without(stored: Tensor, asked: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
    """Compute cosines `(M, N)` of centred vectors without the directions of the groups.

    Args:
        stored: `(M, E)`.
        asked: `(N, E)`.
        labels: `(M,)` of the stored ones.
        groups: `(M,)` theirs.
    """
    middle = stored.mean(0)
    stored, asked = stored - middle, asked - middle
    directions = find_group_directions(stored, labels, groups)  # (G - 1, E)
    left = [one - one @ directions.T @ directions for one in (stored, asked)]
    return to_unit_length(left[0]) @ to_unit_length(left[1]).T


def find_group_directions(vectors: Tensor, labels: Tensor, groups: Tensor) -> Tensor:
    """Find orthonormal directions `(G - 1, E)` that the effects of G groups span.

    The effects of class and group are fitted to the vectors `(M, E)` together.
    """
    classes, count = int(labels.max()) + 1, int(groups.max()) + 1
    design = torch.cat([F.one_hot(labels, classes), F.one_hot(groups, count)], 1).float()
    inner = design.T @ design + RIDGE * torch.eye(classes + count)
    effects = torch.linalg.solve(inner, design.T @ vectors)[classes:]  # (G, E)
    return torch.linalg.svd(effects - effects.mean(0), full_matrices=False).Vh[: count - 1]


def judge_weights(weights: Tensor, labels: Tensor, asked: Coloured) -> dict[str, float]:
    """Measure the right answers of each group from weights `(N, M)` on stored labels `(M,)`."""
    votes = weights.new_zeros(len(weights), 10).index_add_(1, labels, weights)
    truth, other = asked.images.labels, asked.conflicting
    hits = (votes.argmax(1) == truth).double()
    return {
        "aligned": float(hits[~other].mean()),
        "conflicting": float(hits[other].mean()),
        "worst": min(float(hits[other & (truth == one)].mean()) for one in range(10)),
    }


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print means over the seeds, and differences to the whole memory, paired by seed."""
    groups = defaultdict(list)
    for one in cells:
        groups[one["share"], one["way"]].append(one)
    fields = ("aligned", "conflicting", "worst")
    heads = ("own colour", "another colour", "worst class", "stored")
    print_row("share", "way", "seeds", *heads, *[f"{one}: more | 95 %" for one in fields])
    print_row(*["---"] * 13)
    for (share, way), rows in groups.items():
        means = [f"{100 * statistics.fmean(row[one] for row in rows):.1f}" for one in fields]
        means.append(f"{statistics.fmean(row['stored'] for row in rows):.0f}")
        differences = []
        for field in fields:
            known = {one["seed"]: one[field] for one in groups[share, "whole"]}
            gains = [100 * (row[field] - known[row["seed"]]) for row in rows]
            differences += state_difference(gains)[1:]
        print_row(f"{share:.1%}", WAYS[way], str(len(rows)), *means, *differences)


if __name__ == "__main__":
    main()
