"""Write the settings files of the paper's tables from CSV files of its numbers.

Run as ``python tools/write_cells.py FOLDER``, where FOLDER holds ``accuracy.csv`` (columns table,
dataset, encoder, variant, train_examples, mean, std) and ``memory_size.csv`` (the same and
memory_size), accuracies in percent.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import tomli_w

from whence.experiments.cell import FULL
from whence.experiments.paper_tables import CELLS, MEMORY_SIZE, name_table
from whence.experiments.prepare import PUBLISHED
from whence.prediction.files import write_whole

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


def main(arguments: Sequence[str]) -> None:
    """Write one file per row of the CSV files."""
    parser = argparse.ArgumentParser(description="Write the settings files of the paper's tables.")
    parser.add_argument("folder", type=Path, help="holds accuracy.csv and memory_size.csv")
    parser.add_argument("--out", type=Path, default=CELLS, help="where table-01/*.toml go")
    options = parser.parse_args(arguments)
    written = 0
    for name in ("accuracy.csv", "memory_size.csv"):
        with (options.folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                write_whole(options.out / name_cell(row), describe_cell(row).encode())
                written += 1
    print(f"{written} cells written to {options.out}")


def name_cell(row: dict[str, str]) -> str:
    """Name the file of a row, relative to the folder of all cells."""
    parts = [ENCODERS[row["encoder"]], VARIANTS[row["variant"]], row["train_examples"]]
    if row["train_examples"] == FULL:
        parts.insert(0, DATASETS[row["dataset"]])
    if "memory_size" in row:
        parts.append(f"memory-{row['memory_size']}")
    return f"{name_table(int(row['table']))}/{'-'.join(parts)}.toml"


def describe_cell(row: dict[str, str]) -> str:
    """Lay a row out as a settings file with the published number in it."""
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
