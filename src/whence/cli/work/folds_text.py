"""The measures of all folds, and of several seeds, in tables."""

from collections.abc import Sequence
from typing import Any

from whence.cli.align import align


def lay_out_folds(summary: dict[str, Any]) -> list[str]:
    """Lay the measures of all folds out in one table, a column for each fold."""
    share = summary["right"] / summary["images"]
    columns = [f"fold {number}" for number in range(1, summary["folds"] + 1)]
    return [
        f"{summary['right']:,} of {summary['images']:,} images right ({share:.2%}), each answered "
        "by a run that had not seen it.",
        "",
        *lay_out_measures(summary["measures"], columns),
        "",
    ]


def lay_out_seeds(summary: dict[str, Any]) -> list[str]:
    """Lay the means of repeated cross-validations out in one table, a column for each seed."""
    seeds = summary["seeds"]
    return [
        "",
        f"Means of the folds of {len(seeds)} seeds:",
        "",
        *lay_out_measures(summary["measures"], [f"seed {seed}" for seed in seeds]),
        "",
    ]


def lay_out_measures(measures: dict[str, dict[str, Any]], columns: Sequence[str]) -> list[str]:
    """Lay numbers out with their mean and deviation, a row for each measure."""
    rows = [["", "mean", "deviation", *columns]]
    for name, found in measures.items():
        shown = [found["mean"], found["std"], *found["values"]]
        form = ".3f" if "AUROC" in name else ".2%"
        texts = ["-" if one is None else format(one, form) for one in shown]
        rows.append([name.replace("_", " "), *texts])
    return align(rows)
