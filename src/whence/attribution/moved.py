"""Which stored images take the path of integrated gradients; loads no torch."""

from typing import Literal, get_args

Moved = Literal["evidence", "all"]
"""The evidence of each image alone, or every stored image."""

MOVED: tuple[str, ...] = get_args(Moved)
