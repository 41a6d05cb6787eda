"""How records with tensors are shown: in one line, numbers as they are, tensors by their shape."""

from dataclasses import fields
from html import escape
from typing import Any

from torch import Tensor

from whence.messages import quote


def show_record(record: Any) -> str:
    """Write a dataclass in one line; it stands for its ``__repr__``.

    >>> import torch
    >>> from whence.records.images import ImageSet
    >>> ImageSet(torch.zeros(2, 1, 8, 8), [0, 1], ("a", "b"))
    ImageSet(images=(2, 1, 8, 8) float32, labels=(2,) int64, class_names=('a', 'b'), sources=None)
    """
    shown = [f"{field.name}={show_value(getattr(record, field.name))}" for field in fields(record)]
    return f"{type(record).__name__}({', '.join(shown)})"


def show_value(value: object) -> str:
    """Write one field: a tensor as shape and type, several records as their number."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple) and value and not isinstance(value[0], str | int | float):
        return f"{len(value)} x {type(value[0]).__name__}"
    if isinstance(value, tuple) and len(value) > 10:
        return f"{len(value)} x {type(value[0]).__name__}"
    if hasattr(value, "__dataclass_fields__"):
        return type(value).__name__
    return f"{value:.4g}" if isinstance(value, float) else quote(value)


def to_html(title: str, heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Lay a record out as a table for a notebook; everything is escaped."""

    def line(cells: tuple[object, ...], tag: str) -> str:
        shown = (f"<{tag}>{escape(show_cell(cell))}</{tag}>" for cell in cells)
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<p>{escape(title)}</p><table>{line(heads, 'th')}{body}</table>"


def show_cell(cell: object) -> str:
    """Write one cell: floats to three decimals, nothing for None."""
    if cell is None:
        return ""
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
