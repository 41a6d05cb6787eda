"""Images that look the same though their pixels differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NearPair:
    """Two images with nearly the same perceptual hash.

    Attributes:
        first, second: places of the images, each among those of its part.
        parts: of the two, "stored" or "measured".
        names: their files, or what they are called.
        labels: their classes.
        distance: bits of 256 in which their hashes differ; 0 to 12.
    """

    first: int
    second: int
    parts: tuple[str, str]
    names: tuple[str, str]
    labels: tuple[str, str]
    distance: int

    @property
    def across(self) -> bool:
        """Say whether one image is stored and the other measured."""
        return self.parts[0] != self.parts[1]

    @property
    def differ(self) -> bool:
        """Say whether the labels differ."""
        return self.labels[0] != self.labels[1]


@dataclass(frozen=True)
class NearPairs:
    """What looking for near-duplicates gave.

    Attributes:
        pairs: nearest first, those across parts before others; empty where none was found.
        reason: why they were not looked for, in a sentence; None where they were.
        measured: measured images that a stored image looks like.
        accuracy_of_others: accuracy on the other measured images, a fraction; None where there is
            none left.
    """

    pairs: tuple[NearPair, ...] = ()
    reason: str | None = None
    measured: int = 0
    accuracy_of_others: float | None = None
