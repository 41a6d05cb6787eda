"""Records as frames of pandas."""

from collections.abc import Mapping, Sequence
from typing import Any


def make_frame(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = ()) -> Any:
    """Make a frame of rows with the same columns.

    Args:
        rows: one mapping a row.
        columns: names where there may be no row.

    Raises:
        ModuleNotFoundError: without pandas.
    """
    try:
        import pandas as pd  # late: an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "to_frame needs pandas; install it with: python -m pip install 'whence[frames]'"
        ) from error
    return pd.DataFrame(list(rows), columns=list(columns) if not rows else None)
