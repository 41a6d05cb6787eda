"""How the images were prepared that a network was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Preparation:
    """What the weights of a network expect of their images.

    Attributes:
        mean: per channel, in [0, 1] pixel units; subtracted.
        std: per channel, in [0, 1] pixel units; divided by.
        size: (H, W) in pixels; None where it is not known.
        source: whose word it is, for a sentence.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None
    source: str


def recorded_in(found: Mapping[str, Tensor], name: str) -> Preparation | None:
    """Read what a model that whence saved says of its images, in its tensors mean and std.

    Args:
        found: the tensors of a file.
        name: of the file.

    Returns:
        None for any other file.
    """
    mean, std = found.get("mean"), found.get("std")
    if mean is None or std is None or not any(key.startswith("encoder.") for key in found):
        return None
    if mean.shape[1:] != (1, 1) or mean.shape != std.shape or not bool((std > 0).all()):
        return None
    return Preparation(tuple(mean.flatten().tolist()), tuple(std.flatten().tolist()), None, name)
