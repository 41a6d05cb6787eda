"""How the images were prepared that a network was trained on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preparation:
    """What a network's published weights expect of their images.

    Attributes:
        mean: per channel, in [0, 1] pixel units; subtracted.
        std: per channel, in [0, 1] pixel units; divided by.
        size: (H, W) in pixels.
        source: whose word it is, for a sentence.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    source: str
