"""Methods by measures as JSON."""

from dataclasses import asdict
from typing import Any

from whence.records.explained import Origin
from whence.records.faithfulness import Faithfulness
from whence.report.faithfulness_page import NO_RANKING


def faithfulness_to_json(found: Faithfulness, origin: Origin) -> dict[str, Any]:
    """Lay a table out, with what it was computed from."""
    return {
        "run": origin.run,
        "facts": dict(origin.facts),
        "notes": [NO_RANKING, *found.notes],
        "images": found.images,
        "images_asked_again": found.again,
        "refill": found.refill,
        "controls": list(found.controls),
        "measures": [asdict(one) for one in found.measures],
        "failures": {name: list(failed) for name, failed in found.list_failures().items()},
        "methods": {
            method: {one.name: asdict(found.cells[method, one.name]) for one in found.measures}
            for method in found.methods
        },
    }
