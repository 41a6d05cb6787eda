"""Classification networks of torchvision, by name."""

import re
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from whence.encoders.drop_classifier import drop_classifier
from whence.encoders.explained import check_cached, check_listed, explained
from whence.encoders.preparation import Preparation


def check_torchvision(name: str) -> None:
    """Refuse a name that torchvision does not list.

    Raises:
        ValueError: naming the closest ones.
    """
    models = import_module("torchvision.models")
    check_listed("torchvision", name, models.list_models(module=models))


def build_torchvision(name: str, image_shape: tuple[int, int, int]) -> nn.Module:
    """Build one of torchvision's networks for images (C, H, W), without its classifier.

    Raises:
        ValueError: if the name is unknown, or the network cannot be built for the shape.
    """
    check_torchvision(name)
    channels, height, width = image_shape
    if channels != 3:
        raise ValueError(
            f"torchvision:{name} takes 3 channels, got {channels}; give the images three channels "
            "or use a network of ours or of timm, which take any number."
        )
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # as their pretrained weights expect
        options = {"aux_logits": False, "transform_input": True, "init_weights": True}
    elif name.startswith("vit_"):
        if height != width:
            raise ValueError(f"torchvision:{name} takes square images, got {height} x {width}.")
        options = {"image_size": height}
    elif name == "maxvit_t":
        options = {"input_size": (height, width)}
    models = import_module("torchvision.models")
    with explained(f"torchvision:{name}", image_shape):
        return drop_classifier(models.get_model(name, weights=None, **options))


def prepared_for_torchvision(name: str) -> Preparation:
    """Say how images were prepared for the default weights of one of torchvision's networks.

    Raises:
        ValueError: if the name is unknown.
    """
    check_torchvision(name)
    weights = import_module("torchvision.models").get_model_weights(name).DEFAULT
    transform = weights.transforms()
    (side,) = transform.crop_size
    return Preparation(
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        size=(side, side),
        source=f"torchvision's record of {name}",
    )


def read_torchvision_weights(
    name: str, image_shape: tuple[int, int, int], *, download: bool
) -> tuple[str, dict[str, Tensor]]:
    """Read the default weights of one of torchvision's networks, whatever the image shape.

    Args:
        name: as torchvision lists it.
        image_shape: (C, H, W).
        download: fetch them if they are not in torch's cache.

    Raises:
        ValueError: if they are not in the cache and may not be fetched.
    """
    weights = import_module("torchvision.models").get_model_weights(name).DEFAULT
    if not download:
        check_cached(f"torchvision:{name}", find_download(weights.url))
    found = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    return f"torchvision:{name} {weights}", rename_densenet(found)


def rename_densenet(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Write ``norm.1`` as ``norm1``: torchvision's DenseNet files use names of an old version."""
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
    return {old.sub(r"\1\2.", name): tensor for name, tensor in found.items()}


def find_download(url: str) -> Path:
    """Name the file that torch keeps what it fetched from an address in."""
    return Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(urlparse(url).path).name)
