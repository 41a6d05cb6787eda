"""How the authors prepared the images of their checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whence.compat.names import AUTHORS_DATASETS
from whence.data.mnist import DIGITS
from whence.runs.published import PUBLISHED

OBJECTS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes of CIFAR-10 and of CINIC-10."""

AUTHORS_CLASSES = MappingProxyType({"SVHN": DIGITS, "CIFAR10": OBJECTS, "CINIC10": OBJECTS})


@dataclass(frozen=True)
class AuthorsPreparation:
    """What belongs to one dataset: class names, mean and deviation in pixels of [0, 1]."""

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


PREPARATIONS: Mapping[str, AuthorsPreparation] = MappingProxyType(
    {
        name: AuthorsPreparation(AUTHORS_CLASSES[name], PUBLISHED[ours].mean, PUBLISHED[ours].std)
        for name, ours in AUTHORS_DATASETS.items()
    }
)
"""By the authors' names of their datasets: what the paper says."""

VIT_PREPARATIONS: Mapping[str, AuthorsPreparation] = MappingProxyType(
    {
        "SVHN": AuthorsPreparation(DIGITS, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
        "CIFAR10": AuthorsPreparation(OBJECTS, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "CINIC10": PREPARATIONS["CINIC10"],
    }
)
"""The same for their ViT, which was trained with other means and deviations."""
