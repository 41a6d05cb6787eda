"""The columns of a table of labels, as options of every command that takes one; loads no torch."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

COLUMN_HELP: Mapping[str, str] = MappingProxyType(
    {
        "path": "of a table of labels, the column of the files (default path)",
        "label": "the column of the classes (default label)",
        "group": "the column of modules, patients or batches, none of which is divided between "
        "training, validation and test (default group, if there is one)",
        "split": "the column of train, validation or test (default split, if there is one)",
        "weight": "the column of how much an image counts in the training (default weight, if "
        "there is one)",
    }
)
"""What the options ``--path-column``, ... say, by what the column says."""

UNWEIGHTED = ("path_column", "label_column", "group_column", "split_column")
"""Settings of commands in which all images count alike."""


def list_columns(values: Mapping[str, Any]) -> dict[str, str]:
    """Name the columns that settings choose, by what they say.

    >>> list_columns({"data": "labels.csv", "path_column": "file", "group_column": None})
    {'path': 'file'}
    """
    named = {role: values.get(f"{role}_column") for role in COLUMN_HELP}
    return {role: name for role, name in named.items() if name is not None}
