"""The settings file of the paper's code, ``train.yaml``, as its README shows it."""

from pathlib import Path
from typing import Any

import yaml

from whence.compat.names import AUTHORS_DATASETS, AUTHORS_MODELS
from whence.messages import quote
from whence.runs.parse import read_block
from whence.storage.plain_files import read_small

EVERYTHING = 100_000
"""The value of train_examples by which the authors mean the whole dataset."""

TOP_KEYS = (
    "model",
    "save",
    "train_examples",
    "runs",
    "batch_size_train",
    "batch_size_test",
    "optimizer",
    "dataset_dir",
    "dataset_name",
)
OPTIMIZER_KEYS = ("learning_rate", "weight_decay", "momentum", "nesterov")
DATASET_KEYS = ("num_classes", "num_epochs", "opt_milestones", "mem_examples")
AUTHORS_CLASS_COUNT = 10


def read_authors_yaml(path: Path) -> tuple[dict[str, Any], int]:
    """Translate the authors' ``train.yaml`` into our settings.

    A YAML 1.1 reader takes ``1e-1`` for a text; such texts become numbers here.

    Args:
        path: the file.

    Returns:
        Setting names to values (``Settings`` without the variant and the seed), and the number
        of runs, one seed each.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is not YAML, a key is unknown or missing, or a value does not fit.
    """
    try:
        content = yaml.safe_load(read_small(path))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} must be YAML, it cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold settings by name, got a {type(content).__name__}.")
    read_block(path, "", content, (*TOP_KEYS, *AUTHORS_DATASETS), TOP_KEYS)
    name = content["dataset_name"]
    if name not in AUTHORS_DATASETS or name not in content:
        raise ValueError(
            f"{path} must name a dataset_name that it has a block for "
            f"({', '.join(AUTHORS_DATASETS)}), got {quote(name)}."
        )
    optimizer = read_block(path, "optimizer.", content["optimizer"], OPTIMIZER_KEYS, OPTIMIZER_KEYS)
    block = read_block(path, f"{name}.", content[name], DATASET_KEYS, DATASET_KEYS)
    if content["model"] not in AUTHORS_MODELS:
        raise ValueError(
            f"{path} has an unknown model {quote(content['model'])}. "
            f"Choose from: {', '.join(AUTHORS_MODELS)}."
        )
    if block["num_classes"] != AUTHORS_CLASS_COUNT:
        raise ValueError(
            f"{path} must have {name}.num_classes {AUTHORS_CLASS_COUNT}, "
            f"got {quote(block['num_classes'])}."
        )
    examples = to_number(path, "train_examples", content["train_examples"])
    settings = {
        "data": AUTHORS_DATASETS[name],
        "data_root": content["dataset_dir"],
        "encoder": AUTHORS_MODELS[content["model"]],
        "batch_size": content["batch_size_train"],
        "draw_batch": content["batch_size_test"],
        "learning_rate": to_number(path, "learning_rate", optimizer["learning_rate"]),
        "weight_decay": to_number(path, "weight_decay", optimizer["weight_decay"]),
        "momentum": to_number(path, "momentum", optimizer["momentum"]),
        "nesterov": optimizer["nesterov"],
        "recipe": "paper",
        "epochs": block["num_epochs"],
        "milestones": block["opt_milestones"],
        "memory_size": block["mem_examples"],
        "keep_model": content["save"],
        "compat": "authors",
    }
    if examples < EVERYTHING:
        settings["train_examples"] = content["train_examples"]
    runs = content["runs"]
    if type(runs) is not int or runs < 1:
        raise ValueError(f"{path} must have runs of at least 1, got {quote(runs)}.")
    return settings, runs


def to_number(path: Path, key: str, value: object) -> float:
    """Read a number, also one that YAML 1.1 took for a text."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise ValueError(f"{path} must have a number for {key}, got {quote(value)}.")
