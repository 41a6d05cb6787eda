"""A whole run as JSON: the numbers of its page, without pictures and explanations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from whence.records.by_group import ByGroup
from whence.records.measures import Suspicion
from whence.records.memory_use import MemoryUse, Used
from whence.records.overview import Hard, Overview
from whence.report.json_values import to_class
from whence.runs.measured import describe_evaluation


def overview_to_json(overview: Overview, run: str) -> dict[str, Any]:
    """Lay a run out for ``json.dumps``: all fractions, classes by index and by name.

    Args:
        overview: the run in numbers.
        run: its folder.

    Returns:
        The measurement as ``whence evaluate --json`` has it (without the network before training),
        and beside it confusion, curves of doubt and of classes, memory, suspicious and hard.
    """
    names, suspicious = overview.class_names, overview.suspicious
    return {
        "run": run,
        **asdict(overview.made),
        "classes": list(names),
        **describe_evaluation(overview.evaluation),
        "confusion": overview.confusion.tolist(),
        "curves": {
            curve.signal: {"coverages": list(curve.coverages), "risks": list(curve.risks)}
            for curve in overview.curves
        },
        "class_curves": {
            curve.name: {
                name: list(getattr(curve, name))
                for name in ("false_alarms", "hits", "recalls", "precisions")
            }
            for curve in overview.evaluation.curves
        },
        "memory": None if overview.memory is None else lay_out_use(overview.memory, overview),
        "groups": None if overview.groups is None else lay_out_groups(overview.groups, overview),
        "suspicious": (
            None if suspicious is None else [lay_out_suspicion(one, overview) for one in suspicious]
        ),
        "near_duplicates": None if overview.near_pairs is None else asdict(overview.near_pairs),
        "corrections": None if overview.corrections is None else asdict(overview.corrections),
        "hard": [lay_out_hard(one, names) for one in overview.hard],
    }


def lay_out_use(memory: MemoryUse, overview: Overview) -> dict[str, Any]:
    """Lay out which stored images were used."""
    return {
        "size": memory.size,
        "unused": memory.unused,
        "half": memory.half,
        "most": [lay_out_used(item, overview) for item in memory.most],
        "misleading": [lay_out_used(item, overview) for item in memory.misleading],
    }


def lay_out_used(item: Used, overview: Overview) -> dict[str, Any]:
    """Lay out how much one stored image was used."""
    stored = overview.stored[item.index]
    return {
        **asdict(item),
        "wrong_share": item.wrong_share,
        "label": to_class(stored.label, overview.class_names),
        "predicted": to_class(stored.predicted, overview.class_names),
        "source": stored.source,
    }


def lay_out_groups(found: ByGroup, overview: Overview) -> dict[str, Any]:
    """Lay out the answers group by group."""
    stored = dict(found.stored_groups)
    return {
        "origin": found.origin,
        "worst": found.worst,
        "groups": [
            {
                **asdict(one),
                "accuracy": one.accuracy,
                "recalls": dict(zip(overview.class_names, one.recalls, strict=True)),
            }
            for one in found.groups
        ],
        "misleading": [
            {**lay_out_used(item, overview), "group": stored.get(item.index)}
            for item in found.misleading
        ],
    }


def lay_out_suspicion(item: Suspicion, overview: Overview) -> dict[str, Any]:
    """Lay out a stored image with a suspicious label, and those that look like it."""
    classes = overview.class_names
    named = {
        name: to_class(getattr(item, name), classes) for name in ("label", "predicted", "resembles")
    }
    nearest = [
        asdict(one) | {"label": to_class(one.label, classes)}
        for one in overview.nearest.get(item.index, ())
    ]
    return asdict(item) | named | {"nearest": nearest}


def lay_out_hard(item: Hard, classes: Sequence[str]) -> dict[str, Any]:
    """Lay out a hard case."""
    named = {name: to_class(getattr(item, name), classes) for name in ("truth", "predicted")}
    return asdict(item) | named
