"""One cell of the published tables: a settings file with the published numbers in it."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from whence.data import DATASETS
from whence.encoders import ENCODERS
from whence.messages import quote
from whence.runs.parse import from_mapping, read_block
from whence.runs.settings import FIELDS, Settings, read_toml

FULL = "full"
"""In place of a number of training images: all that the validation images leave."""

BLOCKS = ("seeds", "settings", "paper")
TEXT, WHOLE, FRACTION = "text", "a whole number of at least 1", "a fraction in [0, 1]"
WHOLE_OR_FULL = f"{WHOLE}, or '{FULL}'"

ACCURACY = "accuracy"
EXPLANATION_TABLES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"explanation_accuracy": (5, 7), "counterfactual_accuracy": (6, 13)}
)
"""What the runs of the accuracy tables measure as well, and the paper's tables that show it."""


@dataclass(frozen=True)
class Number:
    """One published number.

    Attributes:
        table: the paper's number of the table.
        mean: over the paper's runs, a fraction in [0, 1].
        std: deviation over the paper's runs, a fraction.
    """

    table: int
    mean: float
    std: float


@dataclass(frozen=True)
class Paper:
    """The ``[paper]`` block of a cell: where its numbers stand and what they are.

    Attributes:
        table: the paper's number of the table of accuracies.
        dataset, encoder, variant: as the paper writes them.
        train_examples: training images, or "full".
        accuracy: mean over the paper's runs, a fraction in [0, 1].
        accuracy_std: deviation over the paper's runs, a fraction.
        memory_size: where the table has a column for it.
        explanation_accuracy: of the same runs, where a table shows it.
        counterfactual_accuracy: the same.
    """

    table: int
    dataset: str
    encoder: str
    variant: str
    train_examples: int | str
    accuracy: float
    accuracy_std: float
    memory_size: int | None = None
    explanation_accuracy: Number | None = None
    counterfactual_accuracy: Number | None = None

    def find(self, measure: str) -> Number | None:
        """Return the number of a measure, "accuracy" or a key of ``EXPLANATION_TABLES``."""
        if measure == ACCURACY:
            return Number(self.table, self.accuracy, self.accuracy_std)
        found: Number | None = getattr(self, measure)
        return found


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
"""What each key of ``[paper]`` must be, but for the blocks in it."""

NUMBER_CHECKS: Mapping[str, str] = MappingProxyType(
    {"table": WHOLE, "mean": FRACTION, "std": FRACTION}
)
"""What each key of ``[paper.explanation_accuracy]`` and the like must be."""


@dataclass(frozen=True)
class Cell:
    """One row of one table of accuracies, and the runs that it takes to measure it.

    Attributes:
        name: of the settings file, without its ending; names the folder of its runs.
        settings: of the run with seed 0.
        seeds: runs behind the published numbers.
        paper: the published numbers.
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
    content = read_block(path, "", read_toml(path), BLOCKS, BLOCKS)
    seeds = content["seeds"]
    if type(seeds) is not int or seeds < 1:
        raise ValueError(f"{path} must have seeds as {WHOLE}, got {quote(seeds)}.")
    known = [name for name in FIELDS if name != "seed"]  # the runs are numbered by seeds
    values = read_block(path, "settings.", content["settings"], known, ("data", "encoder"))
    settings = from_mapping(values, Settings, where=str(path))
    for name, value, table in (
        ("data", settings.data, DATASETS),
        ("encoder", str(settings.encoder), ENCODERS),
    ):
        if value not in list(table):  # asking the table itself would import the name's module
            raise ValueError(
                f"{path} has an unknown settings.{name} {quote(value)}. "
                f"Choose from: {', '.join(table)}."
            )
    return Cell(path.stem, settings, seeds, read_paper(path, content["paper"]))


def read_paper(path: Path, block: object) -> Paper:
    """Check and build the ``[paper]`` block of a cell."""
    needed = [field.name for field in fields(Paper) if field.default is MISSING]
    values = read_block(path, "paper.", block, [*CHECKS, *EXPLANATION_TABLES], needed)
    built: dict[str, Any] = {name: value for name, value in values.items() if name in CHECKS}
    check_values(path, "paper.", built, CHECKS)
    for name in values.keys() - CHECKS.keys():
        built[name] = read_number(path, name, values[name])
    return Paper(**built)


def read_number(path: Path, measure: str, block: object) -> Number:
    """Check and build a block such as ``[paper.explanation_accuracy]``."""
    prefix, tables = f"paper.{measure}.", EXPLANATION_TABLES[measure]
    values = read_block(path, prefix, block, list(NUMBER_CHECKS), list(NUMBER_CHECKS))
    check_values(path, prefix, values, NUMBER_CHECKS)
    if values["table"] not in tables:
        choices = " or ".join(map(str, tables))
        raise ValueError(f"{path} must have {prefix}table as {choices}, got {values['table']}.")
    return Number(**values)


def check_values(
    path: Path, prefix: str, values: Mapping[str, Any], checks: Mapping[str, str]
) -> None:
    """Refuse a value of a block that is not what its check names."""
    for name, value in values.items():
        if not is_like(value, checks[name]):
            raise ValueError(
                f"{path} must have {prefix}{name} as {checks[name]}, got {quote(value)}."
            )


def is_like(value: object, check: str) -> bool:
    """Say whether a value is what its check names."""
    if check == TEXT:
        return isinstance(value, str)
    if check == FRACTION:
        return isinstance(value, float) and 0 <= value <= 1
    if check == WHOLE_OR_FULL and value == FULL:
        return True
    return type(value) is int and value >= 1
