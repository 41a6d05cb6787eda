"""One cell of a published table: a settings file with the published number in it."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from whence.data import DATASETS
from whence.encoders import ENCODERS
from whence.experiments.parse import from_mapping
from whence.experiments.settings import FIELDS, Settings, read_toml

FULL = "full"
"""In place of a number of training images: all that the validation images leave."""

BLOCKS = ("seeds", "settings", "paper")
TEXT, WHOLE, FRACTION = "text", "a whole number of at least 1", "a fraction in [0, 1]"
WHOLE_OR_FULL = f"{WHOLE}, or {FULL!r}"


@dataclass(frozen=True)
class Paper:
    """The ``[paper]`` block of a cell: where its number stands and what it is.

    Attributes:
        table: the paper's number of the table.
        dataset, encoder, variant: as the paper writes them.
        train_examples: training images, or "full".
        accuracy: mean over the paper's runs, a fraction in [0, 1].
        accuracy_std: deviation over the paper's runs, a fraction.
        memory_size: where the table has a column for it.
    """

    table: int
    dataset: str
    encoder: str
    variant: str
    train_examples: int | str
    accuracy: float
    accuracy_std: float
    memory_size: int | None = None


CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "table": WHOLE,
        "dataset": TEXT,
        "encoder": TEXT,
        "variant": TEXT,
        "train_examples": WHOLE_OR_FULL,
        "accuracy": FRACTION,
        "accuracy_std": FRACTION,
        "memory_size": WHOLE,
    }
)
"""What each key of ``[paper]`` must be."""


@dataclass(frozen=True)
class Cell:
    """One number of one table, and the runs that it takes to measure it.

    Attributes:
        name: of the settings file, without its ending; names the folder of its runs.
        settings: of the run with seed 0.
        seeds: runs behind the published number.
        paper: the published number.
    """

    name: str
    settings: Settings
    seeds: int
    paper: Paper


def read_cell(path: Path) -> Cell:
    """Read one settings file, refusing what is unknown, missing or of the wrong type.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: naming the file, the key, what it must be and what came.
    """
    content = check_names(path, "", read_toml(path), BLOCKS, BLOCKS)
    seeds = content["seeds"]
    if type(seeds) is not int or seeds < 1:
        raise ValueError(f"{path} must have seeds as {WHOLE}, got {seeds!r}.")
    known = [name for name in FIELDS if name != "seed"]  # the runs are numbered by seeds
    values = check_names(path, "settings.", content["settings"], known, ("data", "encoder"))
    settings = from_mapping(values, where=str(path))
    for name, value, table in (
        ("data", settings.data, DATASETS),
        ("encoder", str(settings.encoder), ENCODERS),
    ):
        if value not in table:
            raise ValueError(
                f"{path} has an unknown settings.{name} {value!r}. Choose from: {', '.join(table)}."
            )
    return Cell(path.stem, settings, seeds, read_paper(path, content["paper"]))


def read_paper(path: Path, block: object) -> Paper:
    """Check and build the ``[paper]`` block of a cell."""
    needed = [field.name for field in fields(Paper) if field.default is MISSING]
    values = check_names(path, "paper.", block, list(CHECKS), needed)
    for name, value in values.items():
        if not is_like(value, CHECKS[name]):
            raise ValueError(f"{path} must have paper.{name} as {CHECKS[name]}, got {value!r}.")
    return Paper(**values)


def is_like(value: object, check: str) -> bool:
    """Say whether a value is what its check names."""
    if check == TEXT:
        return isinstance(value, str)
    if check == FRACTION:
        return isinstance(value, float) and 0 <= value <= 1
    if check == WHOLE_OR_FULL and value == FULL:
        return True
    return type(value) is int and value >= 1


def check_names(
    path: Path, prefix: str, block: object, known: Sequence[str], needed: Sequence[str]
) -> dict[str, Any]:
    """Return a block of a file, refusing one with an unknown or a missing key."""
    if not isinstance(block, dict):
        raise ValueError(f"{path} must have a block [{prefix.rstrip('.')}], got {block!r}.")
    unknown = [name for name in block if name not in known]
    if unknown:
        raise ValueError(
            f"{path} has an unknown setting {prefix}{unknown[0]}. Choose from: {', '.join(known)}."
        )
    missing = [name for name in needed if name not in block]
    if missing:
        raise ValueError(f"{path} must give {prefix}{missing[0]}, it is missing.")
    return block
