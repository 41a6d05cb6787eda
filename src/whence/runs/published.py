"""What the paper sets for its three datasets; loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Published:
    """What the paper sets for one dataset (La Rosa et al. 2021, A.1).

    Attributes:
        epochs: how often every image is seen.
        augmentation: its name in ``AUGMENTATIONS``.
        mean: per channel, in [0, 1] pixel units.
        std: per channel, in [0, 1] pixel units.
    """

    epochs: int
    augmentation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "svhn": Published(40, "none", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "cifar10": Published(300, "flip", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        "cinic10": Published(
            300,
            "flip",
            (0.47889522, 0.47227842, 0.43047404),
            (0.24205776, 0.23828046, 0.25874835),
        ),
    }
)
"""By the names of the datasets."""
