"""What units look for as JSON: numbers and places, no pixels."""

from collections.abc import Sequence
from typing import Any

from whence.records.explained import Origin
from whence.records.visualised import FoundPatch, MadeInput, VisualisedUnit
from whence.report.json_values import lay_out_origin, to_class


def to_visualised_json(
    units: Sequence[VisualisedUnit], origin: Origin, class_names: Sequence[str]
) -> dict[str, Any]:
    """Lay units out for ``json.dumps``.

    Returns:
        An object with the keys run, classes, facts, notes and units.
    """
    return {
        **lay_out_origin(origin, class_names),
        "units": [lay_out_unit(unit, class_names) for unit in units],
    }


def lay_out_unit(unit: VisualisedUnit, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one unit out."""
    return {
        "unit": unit.name,
        "mean": unit.mean,
        "deviation": unit.deviation,
        "highest": unit.highest,
        "made": [lay_out_made(one, classes) for one in unit.made],
        "patches": [lay_out_patch(one, classes) for one in unit.patches],
        "evolution": [
            {"epoch": epoch, **lay_out_patch(one, classes)} for epoch, one in unit.evolution
        ],
    }


def lay_out_made(made: MadeInput, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one input that was made out."""
    return {
        "kept_natural_by": made.kept_natural_by,
        "activation": made.activation,
        "deviations": made.deviations,
        "predicted": to_class(made.predicted, classes),
        "probability": made.probability,
        "cut": made.cut,
        "rising": made.rising,
    }


def lay_out_patch(found: FoundPatch, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one patch out."""
    return {
        "index": found.index,
        "label": to_class(found.label, classes),
        "source": found.source,
        "activation": found.activation,
        "box": list(found.box),
    }
