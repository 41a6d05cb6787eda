"""An image that a page holds itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """An image for an ``img`` element.

    Attributes:
        uri: the pixels as text.
        alt: what it shows, for those who cannot see it.
        width: CSS pixels.
        enlarged: shown larger than it is, so that its pixels stay squares.
    """

    uri: str
    alt: str
    width: int
    enlarged: bool
