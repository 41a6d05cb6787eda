"""Cells of tables that grow from call to call: a line of JSON each; and how tables are written."""

import json
import math
import statistics
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from scipy import stats

from whence.data.stratify import stratified
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator


def thin(dataset: Dataset, options: Namespace) -> Dataset:
    """Keep so many training and test images as are asked for, class by class."""

    def take(images: ImageSet, count: int) -> ImageSet:
        if len(images) <= count:
            return images
        return images.take(stratified(images.labels, count, generator=make_generator(0)))

    train, test = take(dataset.train, options.pool), take(dataset.test, options.test)
    return replace(dataset, train=train, test=test)


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Read the finished cells; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def print_row(*entries: str) -> None:
    """Print a row of a table in Markdown."""
    print("| " + " | ".join(entries) + " |")


def state_difference(differences: list[float]) -> list[str]:
    """Write how many differences there are, their mean, and its 95 % interval."""
    if len(differences) < 2:
        return [str(len(differences)), "", ""]
    mean, error = statistics.fmean(differences), statistics.stdev(differences)
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error / math.sqrt(len(differences))
    return [str(len(differences)), f"{mean:+.2f}", f"{mean - half:+.2f} to {mean + half:+.2f}"]
