"""The tables of the Memory Wrap paper, as cells that can be run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from whence.bounds import check_numbers
from whence.data import DATASETS
from whence.encoders import ENCODERS
from whence.messages import quote
from whence.runs.published import PUBLISHED
from whence.runs.settings import Settings
from whence.tables.cell import ACCURACY, EXPLANATION_TABLES, FULL, Cell, read_cell

CELLS = Path(__file__).parent / "cells"
"""Folder of the settings files, ``table-01/NAME.toml`` and so on."""

MEMORY_SIZE = 100
"""Images in the memory where a cell does not say."""

SIDE = 32
"""Height and width of the images of the paper's three datasets, in pixels."""

TABLES: Mapping[int, str] = MappingProxyType(
    {
        1: "accuracy on reduced SVHN",
        2: "accuracy on reduced CIFAR10",
        3: "accuracy on reduced CINIC10",
        4: "accuracy on the full datasets",
        5: "explanation accuracy, MobileNet-v2",
        6: "counterfactual accuracy, MobileNet-v2",
        7: "explanation accuracy, other encoders",
        8: "accuracy on reduced SVHN, other encoders",
        9: "accuracy on reduced CIFAR10, other encoders",
        10: "accuracy on reduced CINIC10, other encoders",
        12: "accuracy on reduced SVHN by memory size",
        13: "counterfactual accuracy, other encoders",
    }
)
"""The tables of trained models and what they show (La Rosa et al. 2021, arXiv:2106.01440)."""

PARAMETER_TABLE = 11
"""The table that counts parameters; it has no cells."""

RUNS_OF = (1, 2, 3)
"""The tables whose runs those on explanations are measured on."""

DATASET_ORDER = ("svhn", "cifar10", "cinic10")
"""The order of the paper's tables 1 to 3; other datasets come after them."""

VARIANTS = ("standard", "only-memory", "memory-wrap")
"""The order of the paper's rows, the model without a memory first."""

FILTERS: Mapping[str, Callable[[Cell], str]] = MappingProxyType(
    {
        "dataset": lambda cell: cell.settings.data,
        "encoder": lambda cell: str(cell.settings.encoder),
        "variant": lambda cell: cell.settings.head,
        "train_examples": lambda cell: str(cell.settings.train_examples or FULL),
        "memory_size": lambda cell: str(cell.settings.memory_size or MEMORY_SIZE),
    }
)
"""What cells can be chosen by, and how to read it from a cell as text."""


def name_measure(table: int) -> str:
    """Name what a table shows, as ``metrics.json`` does.

    >>> name_measure(7), name_measure(1)
    ('explanation_accuracy', 'accuracy')
    """
    found = [measure for measure, tables in EXPLANATION_TABLES.items() if table in tables]
    return found[0] if found else ACCURACY


def name_table(table: int) -> str:
    """Name the folder of a table of accuracies, for its cells and for its runs."""
    return f"table-{table:02}"


def read_cells(table: int, *, folder: Path | None = None) -> tuple[Cell, ...]:
    """Read all cells of a table, in the order of their rows.

    A table on explanations has no cells of its own: it shows what else the runs of the accuracy
    tables measured.

    Args:
        table: a key of ``TABLES``.
        folder: of the settings files; those of the package by default.

    Raises:
        FileNotFoundError: if the folder holds no cell of the table.
        ValueError: if there is no such table, or a file is not in order.
    """
    if table not in TABLES:
        raise ValueError(f"table must be one of {', '.join(map(str, TABLES))}, got {table}.")
    measure = name_measure(table)
    sources = RUNS_OF if measure != ACCURACY else (table,)
    cells = [cell for source in sources for cell in read_folder(source, folder or CELLS)]
    numbers = [cell.paper.find(measure) for cell in cells]
    shown = [c for c, n in zip(cells, numbers, strict=True) if n is not None and n.table == table]
    return tuple(sorted(shown, key=rank))


def read_folder(table: int, folder: Path) -> list[Cell]:
    """Read the settings files of a table of accuracies."""
    below = folder / name_table(table)
    paths = sorted(below.glob("*.toml"))
    if not paths:
        raise FileNotFoundError(
            f"No settings file of table {table} in {below}; install whence again."
        )
    cells = [read_cell(path) for path in paths]
    for path, cell in zip(paths, cells, strict=True):
        if cell.paper.table != table:
            raise ValueError(f"{path} must have paper.table as {table}, got {cell.paper.table}.")
    return cells


def rank(cell: Cell) -> tuple[int, ...]:
    """Order cells: dataset, encoder, memory size, variant, training images."""
    settings = cell.settings
    return (
        [*DATASET_ORDER, *DATASETS].index(settings.data),
        list(ENCODERS).index(str(settings.encoder)),
        settings.memory_size or MEMORY_SIZE,
        VARIANTS.index(settings.head),
        settings.train_examples or 0,
    )


def select(cells: Sequence[Cell], wanted: Mapping[str, str]) -> tuple[Cell, ...]:
    """Keep the cells that have all the values wanted.

    Args:
        cells: of one table.
        wanted: keys of ``FILTERS`` to values, as text.

    Raises:
        ValueError: if no cell has a value, with those that there are.
    """
    left = tuple(cells)
    for name, value in wanted.items():
        there = dict.fromkeys(FILTERS[name](cell) for cell in left)
        if value not in there:
            raise ValueError(
                f"{name.replace('_', '-')} must be one that the table has, got {quote(value)}. "
                f"Choose from: {', '.join(there)}."
            )
        left = tuple(cell for cell in left if FILTERS[name](cell) == value)
    return left


def adapt(
    cell: Cell,
    *,
    data: str | None = None,
    data_root: str | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    keep_model: bool | None = None,
) -> Settings:
    """Build the settings that a cell is run with; None leaves what the cell says.

    Other images are brought to the size of the paper's, and the published mean, deviation and
    augmentation of the cell's own dataset stay in force.

    Raises:
        ValueError: if ``epochs`` is under 1.
    """
    check_numbers([("epochs", epochs)])
    given = {
        "data_root": data_root,
        "epochs": epochs,
        "precision": precision,
        "keep_model": keep_model,
    }
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    if data is not None and data != cell.settings.data:
        published = PUBLISHED.get(cell.settings.data)
        changes |= {"data": data, "size": SIDE}
        if published is not None:
            changes |= {"mean": published.mean, "std": published.std}
            changes["augmentation"] = cell.settings.augmentation or published.augmentation
    return replace(cell.settings, **changes)


def find_deviations(cell: Cell, settings: Settings) -> dict[str, tuple[Any, Any]]:
    """Name the settings that make a run another experiment than the paper's cell.

    Returns:
        Setting names to the cell's value and the run's.
    """
    pairs = {
        name: (getattr(cell.settings, name), getattr(settings, name))
        for name in ("data", "epochs", "precision")
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
