"""A calibration as JSON, checked when it is read."""

from dataclasses import asdict, fields
from typing import Any

from whence.memory.heads import Head, MemoryHead
from whence.metrics import OF_MEMORY, SIGNALS, WITHOUT_MEMORY
from whence.records.measures import Calibration

LARGEST = 1e100
"""Of any number, so that no sum or product of them overflows."""


def calibration_to_json(calibration: Calibration | None) -> dict[str, Any] | None:
    """Lay a calibration out as JSON."""
    if calibration is None:
        return None
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(calibration).items()
    }


def calibration_from_json(content: dict[str, Any] | None) -> Calibration | None:
    """Build the record from JSON that was checked."""
    if content is None:
        return None
    return Calibration(
        names=tuple(content["names"]),
        means=tuple(map(float, content["means"])),
        scales=tuple(map(float, content["scales"])),
        coefficients=tuple(map(float, content["coefficients"])),
        intercept=float(content["intercept"]),
        images=content["images"],
        errors=content["errors"],
    )


def find_problem_of_calibration(content: object, head: type[Head]) -> str | None:
    """Check a calibration read from JSON; return the first problem as a clause.

    Args:
        content: None, or an object with the fields of ``Calibration``.
        head: of the model, which says what signals apply.
    """
    if content is None:
        return None
    wanted = [field.name for field in fields(Calibration)]
    if not isinstance(content, dict) or sorted(content) != sorted(wanted):
        return f"must have a calibration of {', '.join(wanted)}, or null"
    names, allowed = content["names"], list_signals(head)
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name in allowed for name in names)
        or len(set(names)) != len(names)
    ):
        return f"must have a calibration of different signals of {', '.join(allowed)}"
    for name in ("means", "scales", "coefficients"):
        numbers = content[name]
        if not isinstance(numbers, list) or len(numbers) != len(names):
            return f"must have a calibration with {len(names)} {name}, one per signal"
        if not all(is_number(number) for number in numbers):
            return f"must have a calibration with finite {name}"
    if not all(scale >= 1 / LARGEST for scale in content["scales"]):
        return "must have a calibration with positive scales"
    if not is_number(content["intercept"]):
        return "must have a calibration with a finite intercept"
    images, errors = content["images"], content["errors"]
    if type(images) is not int or type(errors) is not int or not 0 < errors < images <= LARGEST:
        return "must have a calibration with numbers of images and, fewer, of errors"
    return None


def list_signals(head: type[Head]) -> tuple[str, ...]:
    """List the signals of doubt that apply to a head."""
    if not issubclass(head, MemoryHead):
        return WITHOUT_MEMORY
    return tuple(SIGNALS) if head.reads_labels else OF_MEMORY


def is_number(value: object) -> bool:
    """Say whether a value read from JSON is a finite number of a sensible size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST
