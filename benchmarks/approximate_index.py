"""What reading a large memory costs exactly, and what an approximate index would save and miss.

Claim: none beforehand; it reports what comes out. whence itself reads its memory exactly and has no
index; this is the experiment behind docs/scale.md.

The index is an inverted file: k-means divides the stored images into about as many cells as the
root of their number, and a query reads exact sparsemax over the cells with the nearest centres
alone. Times are processor time of all threads ("core-ms"), in turn, medians of n = 5 rounds, so
that other work on the machine disturbs them little.

    python -m benchmarks.approximate_index
    python -m benchmarks.approximate_index --run RUN --data FOLDER

Without a run only the exact way is measured, on normal random features. RUN is a finished run with
the "cosine" similarity; 1,000 test images of its data are drawn as queries.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

import whence
from benchmarks.sides import machine
from whence.memory.attend import Attended, attend
from whence.memory.cosine import to_unit_length, unit_scale
from whence.memory.sparsemax import sparsemax
from whence.models.classifier import Classifier
from whence.models.using import encode_all
from whence.runs.finished import read_run
from whence.runs.sample_of_run import choose_sample

Name = TypeVar("Name")

PROBES = (1, 2, 4, 8, 16, 32)
ON_PAPER = (16, 64, 256)
"""Cells that a look-up in a larger memory may have to read; more than in a small one."""

PARTS = (16, 4, 1)
"""The bank is cut to one image in so many, to see how things change with its size."""

SHARDS = 8
BATCHES = (1, 8, 64)
FEATURES = 512
LARGE = (10_000_000, 1_000_000_000)
FLOAT = 4


class Index(NamedTuple):
    """An inverted file: the memory in the order of its cells."""

    centres: Tensor  # (C, D) of unit length
    starts: list[int]  # C + 1 places in the new order, where each cell begins and the last ends
    cells: Tensor  # (M,) int64, the cell of each stored image, in the memory's own order
    places: Tensor  # (M,) int64, the memory's own places, in the new order
    features: Tensor  # (M, D) in the new order
    scale: Tensor  # (M,) in the new order


class Quality(NamedTuple):
    """What a look-up in some of the cells finds, means over the queries, fractions in [0, 1]."""

    looked_at: float  # of the memory
    weight: float  # exact weight that lies in the cells
    whole: float  # queries whose every image with a weight lies there: their answer is exact
    top: float  # queries whose image of highest weight lies there


def main() -> None:
    """Measure the exact way, and the index if a run is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--data", help="folder or name of the run's images, if they were moved")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{machine()}; core-ms is processor time of all threads")
    with torch.no_grad():
        report_exact(options.stored, options.repeats)
        if options.run is not None:
            model, queries = read_queries(options.run, options.data, options.queries)
            report_index(model, queries, options.repeats)


def report_exact(stored: int, repeats: int) -> None:
    """Time the exact way and print what it and the index cost with larger memories, on paper."""
    generator = torch.Generator().manual_seed(0)
    memory = torch.randn(stored, FEATURES, generator=generator)
    asked = torch.randn(max(BATCHES), FEATURES, generator=generator)
    scale = unit_scale(memory)
    sides = {size: partial(attend, asked[:size], memory, scale=scale) for size in BATCHES}
    seconds = {size: statistics.median(found) for size, found in spend(sides, repeats).items()}
    print(f"exact attention over {stored:,} images, {FEATURES} float32 features:")
    for size, one in seconds.items():
        speed = stored * FEATURES * FLOAT / one / 1e9
        rate = 2 * size * stored * FEATURES / one / 1e9
        print(
            f"  {size:2} queries at once: {1000 * one:.0f} core-ms, {1000 * one / size:.1f} a "
            f"query; {speed:.1f} GB of features and {rate:.0f} GFLOP a core-second"
        )
    print("on paper, core-seconds a query (exact: in proportion; index: bytes read one by one):")
    for total in LARGE:
        alone, many = (seconds[size] / size * total / stored for size in (1, max(BATCHES)))
        read = {probes: count_read(total, probes) for probes in ON_PAPER}
        parts = ", ".join(
            f"{probes} cells {seconds[1] * images / stored:.3g} ({images / total:.2%} read)"
            for probes, images in read.items()
        )
        print(
            f"  {total:,}: features {total * FEATURES * FLOAT / 2**30:,.0f} GiB; "
            f"exact {alone:.3g} at batch 1, {many:.3g} at {max(BATCHES)}; "
            f"index of {cells_for(total):,} cells: {parts}",
            flush=True,
        )


def report_index(model: Classifier, queries: Tensor, repeats: int) -> None:
    """Print what the index finds in growing parts of the bank, and its time in the whole bank."""
    features = model.checked_bank().features
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    for part in PARTS:
        memory = features[order[: len(order) // part]]
        exact = read_exactly(queries, memory)
        index = build_index(memory, cells_for(len(memory)), seed=0)
        counts = exact.pairs.rows.bincount(minlength=len(queries))
        print(
            f"{len(memory):,} stored images, {len(index.centres)} cells, {len(queries)} queries; "
            f"images with a weight: mean {counts.double().mean():.0f}, most {counts.max()}"
        )
        answers = model.memory_head.respond(queries, exact.vectors).argmax(1)
        for probes in PROBES:
            found = measure(index, queries, exact, probes)
            vectors, _ = look_up(index, queries, probes)
            same = model.memory_head.respond(queries, vectors).argmax(1) == answers
            print(
                f"  {probes:2} cells: {found.looked_at:.1%} looked at; {found.weight:.1%} of the "
                f"weight, {found.top:.1%} of the top memories, all evidence of {found.whole:.1%}; "
                f"{same.double().mean():.1%} of the answers the same",
                flush=True,
            )
    survivors = count_survivors(queries, memory, SHARDS)
    print(f"  {SHARDS} shards return {survivors:.0f} pairs a query together")
    report_times(index, queries[: max(BATCHES)], memory, repeats)


def report_times(index: Index, queries: Tensor, memory: Tensor, repeats: int) -> None:
    """Time the exact way and the look-ups in turn."""
    scale, singly = unit_scale(memory), queries.split(1)
    sides: dict[str, Callable[[], object]] = {
        "exact, one by one": lambda: [attend(one, memory, scale=scale) for one in singly],
        f"exact, {len(queries)} at once": lambda: attend(queries, memory, scale=scale),
        **{f"{p} cells": partial(look_up, index, queries, p) for p in PROBES},
    }
    for name, found in spend(sides, repeats).items():
        print(f"  {name}: {1000 * statistics.median(found) / len(queries):.3f} core-ms a query")


def read_queries(folder: Path, data: str | None, total: int) -> tuple[Classifier, Tensor]:
    """Load a run and encode `(B, D)` test images drawn at random.

    Raises:
        ValueError: if the run has no memory, or compares otherwise than by cosine.
    """
    about = read_run(folder)
    model = whence.load(folder)
    if not model.has_memory or model.memory_head.similarity != "cosine":
        raise ValueError(f"{folder} must hold a model that reads its memory by cosine.")
    images = choose_sample(folder, about, data).sample.images.images
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:total]
    return model, encode_all(model, images[chosen])


def cells_for(stored: int) -> int:
    """Choose the number of cells: the root of the number of stored images."""
    return max(1, round(math.sqrt(stored)))


def count_read(stored: int, probes: int) -> int:
    """Count the vectors that a look-up compares with, cells alike: all centres, then some cells.

    >>> count_read(10_000, 4)
    500
    """
    cells = cells_for(stored)
    return round(cells + probes * stored / cells)


def build_index(memory: Tensor, cells: int, *, seed: int) -> Index:
    """Divide a memory `(M, D)` by the cosine to k-means centres; empty cells are left out."""
    keys = to_unit_length(memory)
    kmeans = MiniBatchKMeans(cells, batch_size=4096, n_init=1, random_state=seed)
    centres = to_unit_length(torch.from_numpy(kmeans.fit(keys.numpy()).cluster_centers_))
    used, assigned = torch.unique((keys @ centres.mT).argmax(1), return_inverse=True)
    places = assigned.argsort(stable=True)
    starts = [0, *assigned.bincount(minlength=len(used)).cumsum(0).tolist()]
    scale = unit_scale(memory)
    return Index(centres[used], starts, assigned, places, memory[places], scale[places])


def choose_cells(index: Index, queries: Tensor, probes: int) -> Tensor:
    """Choose the nearest cells `(B, P)` of each query; all of them if there are fewer."""
    scores = to_unit_length(queries) @ index.centres.mT  # (B, C)
    return scores.topk(min(probes, len(index.centres)), dim=1).indices


def look_up(index: Index, queries: Tensor, probes: int) -> tuple[Tensor, Tensor]:
    """Read the nearest cells with exact sparsemax over what is in them.

    Returns:
        Memory vectors `(B, D)`, and the place of highest weight `(B,)` in the memory.
    """
    chosen = choose_cells(index, queries, probes).tolist()
    vectors, tops, every = torch.empty_like(queries), [], torch.arange(len(index.places))
    for row, query in enumerate(to_unit_length(queries)):
        parts = [slice(index.starts[cell], index.starts[cell + 1]) for cell in chosen[row]]
        scores = torch.cat([index.features[p] @ query * index.scale[p] for p in parts])  # (S,)
        weights = sparsemax(scores)
        used = weights.nonzero().squeeze(1)
        near = torch.cat([every[p] for p in parts])
        vectors[row] = weights[used] @ index.features[near[used]]
        tops.append(index.places[near[weights.argmax()]])
    return vectors, torch.stack(tops)


def measure(index: Index, queries: Tensor, exact: Attended, probes: int) -> Quality:
    """Find how much of the exact evidence lies in the cells that a look-up reads."""
    chosen, total = choose_cells(index, queries, probes), len(queries)
    opened = torch.zeros(total, len(index.centres), dtype=torch.bool).scatter_(1, chosen, True)
    rows, places, weights, _ = exact.pairs
    inside = opened[rows, index.cells[places]]  # (N,)
    highest = weights.new_zeros(total).scatter_reduce(0, rows, weights, "amax")
    tops = inside & (weights == highest[rows])
    missed = (~inside).long()
    sizes = torch.tensor(index.starts).diff()
    return Quality(
        float(sizes[chosen].sum(1).double().mean()) / len(index.places),
        float((weights * inside).double().sum()) / total,
        float((weights.new_zeros(total).index_add(0, rows, missed.to(weights.dtype)) == 0).sum())
        / total,
        float((weights.new_zeros(total).index_add(0, rows, tops.to(weights.dtype)) > 0).sum())
        / total,
    )


def read_exactly(queries: Tensor, memory: Tensor) -> Attended:
    """Read the whole memory, a part of the queries after another."""
    scale, vectors, pairs, before = unit_scale(memory), [], [], 0
    for part in queries.split(max(BATCHES)):
        found = attend(part, memory, scale=scale)
        vectors.append(found.vectors)
        pairs.append(found.pairs._replace(rows=found.pairs.rows + before))
        before += len(part)
    joined = [torch.cat(columns) for columns in zip(*pairs, strict=True)]
    return Attended(torch.cat(vectors), type(pairs[0])(*joined))


def count_survivors(queries: Tensor, memory: Tensor, shards: int) -> float:
    """Count the pairs that shards return for a query together, each sure of its own part alone.

    The threshold of a part is never above that of the whole, so nothing is missing.
    """
    found = [read_exactly(queries, part) for part in memory.tensor_split(shards)]
    return sum(len(one.pairs.rows) for one in found) / len(queries)


def spend(sides: Mapping[Name, Callable[[], object]], repeats: int) -> dict[Name, list[float]]:
    """Measure processor seconds of each side in turn, after one call each that does not count."""
    for work in sides.values():
        work()
    found: dict[Name, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            started = time.process_time()
            work()
            found[name].append(time.process_time() - started)
    return found


if __name__ == "__main__":
    main()
