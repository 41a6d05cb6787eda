"""A planted bias mended without training: keys that do not tell groups apart.

Claim: votes whose keys are the features without the directions in which stored images of one class
differ by their colour answer digits of another colour more than 5 points more often rightly, at no
more than 2 points for the others.

    python -m benchmarks.erased_groups MNIST_ROOT --weights FILE --features FOLDER --seeds 5

Images and votes are those of ``benchmarks.planted_bias``; ``whence.erase_groups`` is told the
colour of each stored image. No gradient, nothing encoded again. Every finished seed is a line of
JSON for each way in ``--cells``.
"""

import argparse
import copy
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.kept_cells import print_row, state_difference
from benchmarks.planted_bias import COLOURS, Coloured, encode_coloured, fill_cells, judge
from whence.evidence.design_memory import design_memory
from whence.evidence.erase_groups import erase_groups
from whence.memory.cosine import to_unit_length
from whence.records.images import Dataset
from whence.training.fit import fit

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "erased_groups.jsonl"
"""The cells that are published."""

WAYS = {
    "whole": "all stored images",
    "balanced": "memory balanced over class and colour",
    "erased": "all stored images, colours erased",
    "erased, balanced": "colours erased, then the memory balanced",
}


def main() -> None:
    """Fill in the seeds that are missing, then print the table of all."""
    print_table(fill_cells(__doc__, CELLS, measure))


def measure(
    digits: Dataset, share: float, seed: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Train votes on coloured digits, and compare in each way."""
    problem = encode_coloured(digits, share, seed, options)
    parts, train, conflicting = problem.parts, problem.train, problem.conflicting
    whole = copy.deepcopy(parts.model)
    fit(
        whole,
        parts.train,
        recipe=parts.recipe,
        plan=parts.plan,
        features=train,
        validation=parts.validation,
        validation_features=problem.held,
    )
    whole.remember(parts.train.images, parts.train.labels, features=train).eval()
    started = time.process_time()
    tints = read_tints(problem.known)[parts.indices]
    erased = erase_groups(whole, tints, features=train, validation=parts.validation, seed=seed)
    seconds = time.process_time() - started
    pairs = parts.train.labels * 2 + conflicting
    size = max(2 * int(conflicting.sum()), len(pairs.unique()))
    models = {"whole": whole, "erased": erased}
    for way, before in (("balanced", whole), ("erased, balanced", erased)):
        groups = conflicting.long()
        models[way] = design_memory(before, size, by="balanced", groups=groups, seed=seed)
    return [
        {
            "way": way,
            **judge(models[way], problem.test, problem.asked),
            "stored": len(models[way].checked_bank()),
            "seconds": seconds,
            "encoder": options.encoder,
            "pixels": options.size,
            "torch": torch.__version__,
        }
        for way in WAYS
    ]


def read_tints(images: Coloured) -> Tensor:
    """Read the number `(N,)` of each image's colour from its brightest pixels."""
    brightest = to_unit_length(images.images.images.float().amax((2, 3)))
    return (brightest @ to_unit_length(torch.tensor(COLOURS).float()).T).argmax(1)


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
