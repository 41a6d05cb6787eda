"""Lengths of time as people write them; loads no torch."""

import re
from types import MappingProxyType

from whence.messages import quote

UNITS = MappingProxyType({"s": 1.0, "m": 60.0, "h": 3600.0})
"""Seconds by the letter behind a number."""


def read_duration(name: str, text: str) -> float:
    """Read a length of time in seconds.

    Raises:
        ValueError: if it is none, or no time at all.

    >>> read_duration("budget", "1.5m")
    90.0
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text, re.ASCII)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if seconds == 0:
        raise ValueError(
            f"{name} must be a time with its unit, such as 90s, 10m or 1h, got {quote(text)}."
        )
    return seconds
