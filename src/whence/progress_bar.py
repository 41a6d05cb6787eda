"""Bars on how far a computation is: on a terminal, and in a notebook, which is none."""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from tqdm import tqdm


def in_notebook() -> bool:
    """Say whether this runs in a notebook's kernel."""
    shell = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return found is not None and hasattr(found, "kernel")


def make_bar(parts: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """Make a bar that is shown on a terminal or in a notebook, and nowhere else.

    Args:
        parts: that are counted; None for a bar that is updated by hand.
        options: of tqdm.
    """
    if not in_notebook():
        return tqdm(parts, disable=None, **options)
    options.pop("file", None)  # widgets write to no file, and a notebook shows stderr
    kind: Any = tqdm
    if has_widgets():
        from tqdm.notebook import tqdm as kind  # late: only here
    bar: tqdm[Any] = kind(parts, disable=False, **options)
    return bar


def has_widgets() -> bool:
    """Say whether notebooks can show widgets; without them a bar is text."""
    try:
        import_module("ipywidgets")
    except ModuleNotFoundError:
        return False
    return True
