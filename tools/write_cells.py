"""Write the settings files of the paper's tables from CSV files of its numbers.

Run as ``python tools/write_cells.py FOLDER``, where FOLDER holds ``accuracy.csv`` (columns table,
dataset, encoder, variant, train_examples, mean, std), ``memory_size.csv`` (the same and
memory_size) and ``explanation.csv`` (the same as the first and metric), all numbers in percent.
The numbers of the last belong to runs of the first and stand in the same files.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import tomli_w

from whence.runs.published import PUBLISHED
from whence.storage.whole_files import write_whole
from whence.tables.cell import FULL
from whence.tables.paper_tables import CELLS, MEMORY_SIZE, name_table

DATASETS = MappingProxyType({"SVHN": "svhn", "CIFAR10": "cifar10", "CINIC10": "cinic10"})
ENCODERS = MappingProxyType(
    {
        "MobileNet-v2": "mobilenet_v2",
        "EfficientNetB0": "efficientnet_b0",
        "ResNet18": "resnet18",
        "GoogLeNet": "googlenet",
        "DenseNet": "densenet",
        "ShuffleNet": "shufflenet_v2",
    }
)
VARIANTS = MappingProxyType(
    {"Standard": "standard", "Only Memory": "only-memory", "Memory Wrap": "memory-wrap"}
)
SEEDS = 15
MEMORY_SEEDS = 5
"""Runs behind a number of table 12; the other tables have ``SEEDS``."""

VALIDATION = 6_000

RUN = ("dataset", "encoder", "variant", "train_examples")
"""The columns that say which runs a number belongs to."""

Row = dict[str, str]


def main(arguments: Sequence[str]) -> None:
    """Write one file per row of accuracies.

    Raises:
        ValueError: if a row of ``explanation.csv`` belongs to no row of ``accuracy.csv``.
    """
    parser = argparse.ArgumentParser(description="Write the settings files of the paper's tables.")
    parser.add_argument("folder", type=Path, help="holds the three CSV files")
    parser.add_argument("--out", type=Path, default=CELLS, help="where table-01/*.toml go")
    options = parser.parse_args(arguments)
    accuracies = read_rows(options.folder / "accuracy.csv")
    others: dict[tuple[str, ...], list[Row]] = {}
    for row in read_rows(options.folder / "explanation.csv"):
        others.setdefault(identify(row), []).append(row)
    unknown = others.keys() - {identify(row) for row in accuracies}
    if unknown:
        raise ValueError(
            f"explanation.csv must have rows of runs in accuracy.csv only, got {min(unknown)}."
        )
    cells = {
        name_cell(row): describe_cell(row, others.get(identify(row), [])) for row in accuracies
    }
    for row in read_rows(options.folder / "memory_size.csv"):
        cells[name_cell(row)] = describe_cell(row, [])
    for name, text in cells.items():
        write_whole(options.out / name, text.encode())
    print(f"{len(cells)} cells written to {options.out}")


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file with a header."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def identify(row: Row) -> tuple[str, ...]:
    """Say which runs a row is about."""
    return tuple(row[column] for column in RUN)


def name_cell(row: Row) -> str:
    """Name the file of a row, relative to the folder of all cells."""
    parts = [ENCODERS[row["encoder"]], VARIANTS[row["variant"]], row["train_examples"]]
    if row["train_examples"] == FULL:
        parts.insert(0, DATASETS[row["dataset"]])
    if "memory_size" in row:
        parts.append(f"memory-{row['memory_size']}")
    return f"{name_table(int(row['table']))}/{'-'.join(parts)}.toml"


def describe_cell(row: Row, others: Sequence[Row]) -> str:
    """Lay a row out as a settings file with the published numbers in it.

    Args:
        row: of accuracies.
        others: what else was published of the same runs.
    """
    data, full = DATASETS[row["dataset"]], row["train_examples"] == FULL
    examples: int | str = FULL if full else int(row["train_examples"])
    memory = int(row.get("memory_size", MEMORY_SIZE))
    settings: dict[str, object] = {
        "data": data,
        "encoder": ENCODERS[row["encoder"]],
        "variant": VARIANTS[row["variant"]],
        "train_examples": None if full else examples,
        "validation_examples": VALIDATION,
        "memory_size": None if memory == MEMORY_SIZE else memory,
        "recipe": "paper",
        "epochs": PUBLISHED[data].epochs,
        "augmentation": PUBLISHED[data].augmentation,
        "compat": "authors",
        "precision": "float32",
    }
    paper: dict[str, object] = {
        "table": int(row["table"]),
        "dataset": row["dataset"],
        "encoder": row["encoder"],
        "variant": row["variant"],
        "train_examples": examples,
        "accuracy": to_fraction(row["mean"]),
        "accuracy_std": to_fraction(row["std"]),
    }
    if "memory_size" in row:
        paper["memory_size"] = memory
    for other in others:
        paper[other["metric"]] = {
            "table": int(other["table"]),
            "mean": to_fraction(other["mean"]),
            "std": to_fraction(other["std"]),
        }
    images = "all training images" if full else f"{examples} training images"
    memories = "" if row["variant"] == "Standard" else f", memory of {memory}"
    head = (
        f"# Table {row['table']}: {row['dataset']}, {row['encoder']}, {row['variant']}, "
        f"{images}{memories}."
    )
    seeds = MEMORY_SEEDS if "memory_size" in row else SEEDS
    given = {name: value for name, value in settings.items() if value is not None}
    blocks = tomli_w.dumps({"seeds": seeds, "settings": given, "paper": paper})
    return f"{head}\n{blocks}"


def to_fraction(percent: str) -> float:
    """Turn a percentage of two decimals into a fraction of four."""
    return round(float(percent) / 100, 4)


if __name__ == "__main__":
    main(sys.argv[1:])
