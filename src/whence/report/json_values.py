"""Classes and tensors as values that JSON can hold."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from whence.records.explained import Origin


def lay_out_origin(origin: Origin, class_names: Sequence[str]) -> dict[str, Any]:
    """Lay out what answers were computed from: the head of every JSON object of answers."""
    return {
        "run": origin.run,
        "classes": list(class_names),
        "facts": dict(origin.facts),
        "notes": list(origin.notes),
    }


def to_class(index: int | None, classes: Sequence[str]) -> dict[str, Any] | None:
    """Name a class by index and name."""
    return None if index is None else {"index": index, "name": classes[index]}


def to_list(tensor: Tensor) -> Any:
    """Turn a tensor into nested lists, NaN and infinity into None."""

    def clean(value: Any) -> Any:
        if isinstance(value, list):
            return [clean(one) for one in value]
        return value if math.isfinite(value) else None

    return clean(tensor.tolist())
