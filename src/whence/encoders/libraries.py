"""Libraries whose networks are taken by name, and how each is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from torch import Tensor, nn

from whence.encoders import timm_networks, torchvision_networks
from whence.encoders.preparation import Preparation


class ReadPublished(Protocol):
    """Reads the published weights of a network."""

    def __call__(
        self, name: str, image_shape: tuple[int, int, int], *, download: bool
    ) -> tuple[str, dict[str, Tensor]]:
        """Read them for images of a shape (C, H, W), and say where they come from."""


@dataclass(frozen=True)
class Library:
    """How a library of networks is asked for one of them, by name.

    Attributes:
        check: refuses an unknown name.
        build: builds a network for images of a shape (C, H, W), with random parameters and without
            its classifier.
        prepared: says how the images were prepared that its published weights were trained on.
        read_published: gives where those weights come from, and the weights; takes them from the
            library's cache, or with ``download`` fetches them.
        cache: the environment variable that names the folder of that cache.
    """

    check: Callable[[str], None]
    build: Callable[[str, tuple[int, int, int]], nn.Module]
    prepared: Callable[[str], Preparation]
    read_published: ReadPublished
    cache: str


LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "torchvision": Library(
            torchvision_networks.check_torchvision,
            torchvision_networks.build_torchvision,
            torchvision_networks.prepared_for_torchvision,
            torchvision_networks.read_torchvision_weights,
            "TORCH_HOME",
        ),
        "timm": Library(
            timm_networks.check_timm,
            timm_networks.build_timm,
            timm_networks.prepared_for_timm,
            timm_networks.read_timm_weights,
            "HF_HOME",
        ),
    }
)
"""Every name in ``FOREIGN`` and what is behind it. The libraries are imported when first asked."""
